//! Who did what.

use postrider_core::audit::{Actor, AuditEntry};
use postrider_core::cursor::Page;
use postrider_core::profile::STANDARD;
use postrider_core::{ApiKeyId, TenantId};
use postrider_store::AuditFilter;

use crate::fixture::Fixture;

fn entry(f: &Fixture, tenant_id: TenantId, actor: Actor, action: &str) -> AuditEntry {
    f.clock.advance(std::time::Duration::from_micros(1));
    AuditEntry {
        id: f.world.new_id(),
        tenant_id,
        at: f.now(),
        actor,
        action: action.to_owned(),
        object_id: Some("é".to_owned()),
        request_id: None,
        remote_address: Some("192.0.2.7".to_owned()),
    }
}

pub(crate) async fn entries_are_kept_as_they_were_for_their_tenant(f: Fixture) {
    let journal = &f.stores.journal;
    let other = f.stores.catalogue.create_tenant("second", STANDARD).await.expect("stored").expect("free").id;
    let key: ApiKeyId = f.world.new_id();
    let first = entry(&f, f.tenant, Actor::ApiKey(key, "k".to_owned()), "webhook.created");
    let second = entry(&f, f.tenant, Actor::CommandLine, "api_key.revoked");
    let user = entry(&f, f.tenant, Actor::User(f.world.new_id(), "olga".to_owned()), "webhook.deleted");
    let visitor = entry(&f, f.tenant, Actor::PortalLink(f.world.new_id()), "webhook.tested");
    let theirs = entry(&f, other, Actor::CommandLine, "api_key.revoked");
    for entry in [&first, &second, &user, &visitor, &theirs] {
        journal.audit(entry).await.expect("kept");
    }
    let list =
        async |filter: AuditFilter| journal.audit_entries(f.tenant, &filter, Page::default()).await.expect("read");
    assert_eq!(list(AuditFilter::default()).await, [visitor, user, second.clone(), first.clone()]);
    let by_key = AuditFilter { actor_id: Some(key.uuid()), ..AuditFilter::default() };
    assert_eq!(list(by_key).await, std::slice::from_ref(&first));
    let before = AuditFilter { until: Some(second.at), ..AuditFilter::default() };
    assert_eq!(list(before).await, std::slice::from_ref(&first));
    let by_action = AuditFilter { action: Some(second.action.clone()), ..AuditFilter::default() };
    assert_eq!(list(by_action).await, std::slice::from_ref(&second));
    let rest = Page { before: Some(second.id.uuid()), ..Page::default() };
    assert_eq!(journal.audit_entries(f.tenant, &AuditFilter::default(), rest).await.expect("read"), [first]);
}
