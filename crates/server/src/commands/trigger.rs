//! `postrider trigger`: publishes an example event.

use postrider_core::World;
use postrider_core::event::{EventDraft, METADATA_LIMIT, resource_id_of};
use postrider_core::event_type::EventTypeName;
use postrider_core::profile::Profiles;
use postrider_store::{PublishError, Receipt, StoreError, Urgency};
use serde_json::json;

use super::{open_tenant, plain, settings_of};
use crate::cli::TriggerArgs;

pub(crate) async fn run(args: TriggerArgs, world: World) -> Result<(), String> {
    let profiles = settings_of(&args.of.store)?.server.profiles;
    let (stores, tenant) = open_tenant(&args.of, &world).await?;
    let catalogue = stores.catalogue.snapshot(tenant.id).await.map_err(|error| match error {
        StoreError::Vault(error) => format!("POSTRIDER_MASTER_KEY: {error}; give the one that the server has"),
        other => plain(other),
    })?;
    let catalogue = catalogue.ok_or_else(|| format!("there is no tenant `{}`", args.of.tenant))?;
    let name = EventTypeName::parse(&args.event_type).filter(|name| catalogue.knows(name) && !name.is_special());
    let name = name.ok_or_else(|| {
        let mut near = catalogue.suggestions(&args.event_type);
        near.retain(|near| *near != args.event_type);
        let hint = if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(", ")) };
        format!("`{}` is not a type that can be published{hint}", args.event_type)
    })?;
    let json = args.of.json;
    let draft = draft(&profiles, name, args)?;
    let mut published = stores.journal.publish(tenant.id, vec![draft], Urgency::Pressing).await;
    let receipt =
        published.pop().ok_or("the event was not published")?.map_err(|error: PublishError| error.to_string());
    stores.queue.close().await;
    show(&receipt?, json);
    Ok(())
}

/// The given payload, or an example of the type.
fn draft(profiles: &Profiles, event_type: EventTypeName, args: TriggerArgs) -> Result<EventDraft, String> {
    let example = profiles.example_of(&event_type);
    let (payload, metadata) = match args.payload {
        Some(payload) => (payload, None),
        None => (example.payload, example.metadata),
    };
    let metadata = args.metadata.or(metadata);
    if metadata.as_ref().is_some_and(|metadata| metadata.len() > METADATA_LIMIT) {
        return Err(format!("--metadata: must have at most {METADATA_LIMIT} bytes"));
    }
    let resource_id = args.resource_id.or_else(|| resource_id_of(&payload));
    Ok(EventDraft { resource_id, metadata: metadata.map(Into::into), ..EventDraft::new(event_type, payload.into()) })
}

fn show(receipt: &Receipt, json: bool) {
    let Receipt { id, event_type, created_at, deliveries, .. } = receipt;
    if json {
        return say!(
            "{}",
            json!({"id": id, "event_type": event_type, "created_at": created_at, "deliveries": deliveries})
        );
    }
    say!("Published {event_type} {id}");
    match deliveries {
        0 => say!("Nobody receives it: GET /api/v1/events/{id}/explain/?webhook_id=… tells why"),
        1 => say!("1 delivery is on its way"),
        many => say!("{many} deliveries are on their way"),
    }
}
