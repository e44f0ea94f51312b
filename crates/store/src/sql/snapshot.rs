//! Reading a tenant's catalogue: all of it, or what changed since it was last read.

use std::collections::HashSet;
use std::sync::Arc;

use postrider_core::TenantId;
use postrider_core::catalogue::{CatalogueChange, TenantCatalogue};
use postrider_core::event_type::EventTypeName;
use postrider_core::profile::Profiles;
use postrider_core::vault::Vault;

use super::{Dialect, callback_secrets, event_types, subscriptions, tenants};
use crate::db::Connection;
use crate::error::Result;

/// The catalogue of a living tenant, made of `base` and what changed since, if there is one.
pub(super) async fn read<DB: Dialect>(
    db: &mut Connection<DB>,
    vault: &Vault,
    profiles: &Arc<Profiles>,
    tenant_id: TenantId,
    base: Option<&TenantCatalogue>,
) -> Result<Option<TenantCatalogue>> {
    // The version is read first: should the rest be newer, an accept finds the version stale, and what is newer is read again.
    let Some(head) = tenants::head::<DB>(db, tenant_id).await? else { return Ok(None) };
    let base = base.filter(|base| base.version() <= head.version);
    let since = base.map(TenantCatalogue::version);
    let is_old = |version: i64| since.is_some_and(|since| version <= since);
    let custom_types = if is_old(head.types_version) { None } else { Some(type_names::<DB>(db, tenant_id).await?) };
    let callback_secrets = if is_old(head.secrets_version) {
        None
    } else {
        Some(callback_secrets::of_tenant::<DB>(db, vault, tenant_id).await?)
    };
    let change = CatalogueChange {
        version: head.version,
        subscriptions: subscriptions::changed_since::<DB>(db, vault, tenant_id, since).await?,
        custom_types,
        callback_secrets,
        has_callbacks: head.has_callbacks,
        default_profile: head.default_profile,
    };
    let catalogue = match base {
        Some(base) => base.changed(change),
        None => TenantCatalogue::empty(tenant_id, Arc::clone(profiles)).changed(change),
    };
    Ok(Some(catalogue))
}

async fn type_names<DB: Dialect>(db: &mut Connection<DB>, tenant_id: TenantId) -> Result<HashSet<EventTypeName>> {
    Ok(event_types::list::<DB>(db, tenant_id).await?.into_iter().map(|own| own.name).collect())
}
