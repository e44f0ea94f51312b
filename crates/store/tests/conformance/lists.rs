//! Lists of very much.

use postrider_core::cursor::Page;
use postrider_core::event::EventDraft;
use postrider_core::event_type::EventTypeName;
use postrider_store::{EventFilter, Urgency};

use crate::fixture::{Fixture, draft};

/// More than are looked at for one page.
const MANY: usize = 10_200;

pub(crate) async fn what_is_rare_is_found_page_by_page(f: Fixture) {
    let rare = EventTypeName::parse("case.completed").expect("a name");
    let first = f.publish_draft(EventDraft::new(rare.clone(), "{}".into())).await;
    for _ in 0..MANY / 300 {
        f.clock.advance(std::time::Duration::from_millis(2));
        f.stores.journal.publish(f.tenant, (0..300).map(|_| draft(None)).collect(), Urgency::Pressing).await;
    }
    let filter = EventFilter { event_type: Some(rare.to_string()), ..EventFilter::default() };
    let list = async |page| f.stores.journal.events(f.tenant, &filter, page).await.expect("read");
    let one = list(Page::default()).await;
    assert!(one.items.is_empty() && one.next.is_some(), "it was not looked so far");
    let two = list(Page { before: one.next, ..Page::default() }).await;
    assert_eq!(two.items.iter().map(|event| event.id).collect::<Vec<_>>(), [first.id]);
    assert!(two.next.is_none());
    let since = EventFilter { since: Some(first.created_at), until: Some(first.created_at), ..filter.clone() };
    let none = f.stores.journal.events(f.tenant, &since, Page::default()).await.expect("read");
    assert!(none.items.is_empty() && none.next.is_none(), "a period is not searched beyond");
}
