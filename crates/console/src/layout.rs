//! What is around every page.

use maud::{DOCTYPE, Markup, html};

use crate::assets::{SCRIPT_URL, STYLE_URL};
use crate::form::TOKEN;
use crate::visit::{Visit, segment};

fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Postrider" }
                link rel="stylesheet" href=(STYLE_URL);
                script src=(SCRIPT_URL) defer {}
            }
            body { (body) }
        }
    }
}

/// A page of whoever is not signed in.
pub(crate) fn bare(title: &str, content: &Markup) -> Markup {
    document(title, &html! { main.narrow { (content) } })
}

/// A page of whoever is signed in.
pub(crate) fn page(visit: &Visit, title: &str, content: &Markup) -> Markup {
    around(visit, title, None, content)
}

/// What a page shows that is told of changes.
#[derive(Clone, Copy)]
pub(crate) enum Shown<'a> {
    Deliveries,
    /// The deliveries of an event.
    Event(&'a str),
    Replay(&'a str),
}

/// One that is told of changes of what it shows.
pub(crate) fn live(visit: &Visit, title: &str, shown: Shown<'_>, content: &Markup) -> Markup {
    let query = match shown {
        Shown::Deliveries => String::new(),
        Shown::Event(id) => format!("?event_id={}", segment(id)),
        Shown::Replay(id) => format!("?replay_id={}", segment(id)),
    };
    around(visit, title, Some(visit.link(&format!("/live{query}"))), content)
}

fn around(visit: &Visit, title: &str, live: Option<String>, content: &Markup) -> Markup {
    let body = html! {
        a.skip href="#content" { "Skip to the content" }
        header {
            a.brand href="/" { "Postrider" }
            nav aria-label="Main" { (links(visit, title)) }
            form.who method="post" action="/sign-out" {
                (token(visit))
                span { (visit.session.name.as_deref().unwrap_or("visitor")) " · " (visit.session.role) }
                button.plain type="submit" { "Sign out" }
            }
        }
        main id="content" data-live=[live] { (content) }
    };
    document(title, &body)
}

fn links(visit: &Visit, title: &str) -> Markup {
    let mut links: Vec<(String, &str)> = Vec::new();
    if visit.session.is_operator() {
        links.push(("/installation".to_owned(), "Installation"));
        links.push(("/tenants".to_owned(), "Tenants"));
    }
    if visit.session.may_rule() {
        links.push(("/users".to_owned(), "Users"));
    }
    if visit.tenant_id.is_some() {
        links.push((visit.link(""), "Overview"));
        for (path, name) in
            [("/webhooks", "Webhooks"), ("/events", "Events"), ("/deliveries", "Deliveries"), ("/replays", "Replays")]
        {
            links.push((visit.link(path), name));
        }
        links.push((visit.link("/formats"), "Formats"));
        if visit.session.may_change() {
            links.push((visit.link("/keys"), "Keys"));
            links.push((visit.link("/audit"), "Audit log"));
        }
        if visit.session.may_rule() {
            links.push((visit.link("/settings"), "Settings"));
        }
    }
    html! {
        @for (url, name) in links {
            a href=(url) aria-current=[(name == title).then_some("page")] { (name) }
        }
    }
}

/// What shows that a form is ours.
pub(crate) fn token(visit: &Visit) -> Markup {
    html! { input type="hidden" name=(TOKEN) value=(visit.session.csrf_token); }
}
