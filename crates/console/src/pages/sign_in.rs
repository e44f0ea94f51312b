//! Signing in and out.

use axum::extract::FromRequest;
use axum::extract::{FromRequestParts, Path, Query, Request, State};
use axum::http::header::SET_COOKIE;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fault::{Fault, Told};
use crate::form::Form;
use crate::layout;
use crate::rest::{Answer, Asker, Rest};
use crate::show::wrong;

const SESSION: &str = "/api/v1/session";

/// Where to go afterwards.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Next {
    next: String,
}

impl Next {
    /// A page of ours, never one elsewhere.
    fn page(&self) -> &str {
        // Browsers skip control characters, and take a backslash for a slash.
        let is_plain = !self.next.contains(|c: char| c == '\\' || c.is_control());
        let is_ours = self.next.starts_with('/') && !self.next.starts_with("//") && is_plain;
        if is_ours { &self.next } else { "/" }
    }
}

/// The form.
pub(crate) async fn page(Query(next): Query<Next>) -> Response {
    form(&next, "", None, StatusCode::OK)
}

fn form(next: &Next, name: &str, told: Option<&Told>, status: StatusCode) -> Response {
    let content = html! {
        h1 { "Sign in" }
        (wrong(told))
        form.stack method="post" action="/sign-in" {
            input type="hidden" name="next" value=(next.page());
            label { "Name" input name="name" value=(name) autocomplete="username" autocapitalize="none" required autofocus; }
            label { "Password" input name="password" type="password" autocomplete="current-password" required; }
            button type="submit" { "Sign in" }
        }
        p.hint { "An operator adds users with " code { "postrider users add" } "." }
    };
    (status, layout::bare("Sign in", &content)).into_response()
}

/// Who asks, and the form that was sent.
async fn sent(request: Request, rest: &Rest) -> Result<(Asker, Form), Fault> {
    let (parts, body) = request.into_parts();
    let asker = Asker::of(&parts);
    Ok((asker, Form::from_request(Request::from_parts(parts, body), rest).await?))
}

/// Signs in.
pub(crate) async fn submit(State(rest): State<Rest>, request: Request) -> Result<Response, Fault> {
    let (asker, form_sent) = sent(request, &rest).await?;
    let (next, name) = (Next { next: form_sent.text("next") }, form_sent.text("name"));
    let body = json!({"name": name, "password": form_sent.text("password")});
    let answer = rest.call(&asker, Method::POST, SESSION, Some(&body)).await?;
    match answer.success::<Value>() {
        Ok(_) => Ok(with_cookies(Redirect::to(next.page()), answer)),
        Err(fault) => Ok(form(&next, &name, Some(&fault.correctable()?), answer.status)),
    }
}

/// What a link that signs in shows first: whoever only looks at the link does not use it up.
pub(crate) async fn portal(Path(token): Path<String>) -> Response {
    let content = html! {
        h1 { "Your webhooks" }
        p { "This link signs you in once." }
        form.stack method="post" action={ "/portal/" (crate::visit::segment(&token)) } {
            button type="submit" { "Continue" }
        }
    };
    layout::bare("Your webhooks", &content).into_response()
}

/// Uses the link.
pub(crate) async fn enter_portal(State(rest): State<Rest>, request: Request) -> Result<Response, Fault> {
    let (mut parts, _) = request.into_parts();
    let Path(token) = Path::<String>::from_request_parts(&mut parts, &rest).await.map_err(|_| Fault::not_found())?;
    let body = json!({"portal_token": token});
    let answer = rest.call(&Asker::of(&parts), Method::POST, SESSION, Some(&body)).await?;
    answer.success::<Value>()?;
    Ok(with_cookies(Redirect::to("/"), answer))
}

/// Signs out.
pub(crate) async fn sign_out(State(rest): State<Rest>, request: Request) -> Result<Response, Fault> {
    let (mut asker, form_sent) = sent(request, &rest).await?;
    asker.with_token(&form_sent.token());
    let answer = rest.call(&asker, Method::DELETE, SESSION, None).await?;
    if answer.status != StatusCode::UNAUTHORIZED {
        answer.success::<Value>()?;
    }
    Ok(with_cookies(Redirect::to("/sign-in"), answer))
}

/// Hands the session's cookie on to the browser.
fn with_cookies(to: Redirect, answer: Answer) -> Response {
    let mut response = to.into_response();
    for cookie in answer.cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_leads_to_our_own_pages() {
        let page = |next: &str| Next { next: next.to_owned() }.page().to_owned();
        assert_eq!(page("/t/1/events?status=failed"), "/t/1/events?status=failed");
        for elsewhere in
            ["", "https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example", "javascript:alert(1)"]
        {
            assert_eq!(page(elsewhere), "/", "{elsewhere}");
        }
    }
}
