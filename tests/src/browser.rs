//! What a browser does with a session: it keeps the cookie, and its pages send the token.

use reqwest::Method;
use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::{Value, json};

use crate::server::{Answer, Server};

/// Somebody who signs in.
pub struct Browser<'a> {
    /// Where to.
    pub server: &'a Server,
    /// `name=value`, once it was given.
    pub cookie: String,
    /// What changes must bring along.
    pub token: String,
}

impl<'a> Browser<'a> {
    /// One that was never here.
    #[must_use]
    pub const fn new(server: &'a Server) -> Self {
        Self { server, cookie: String::new(), token: String::new() }
    }

    /// Adds a user by the API and signs in as that.
    ///
    /// # Panics
    /// If that is refused.
    pub async fn of(server: &'a Server, name: &str, role: &str, tenant_id: Option<&str>) -> Browser<'a> {
        let password = "correct horse battery";
        let user = json!({"name": name, "password": password, "role": role, "tenant_id": tenant_id});
        server.post("/api/v1/users/", user).await;
        let mut browser = Browser::new(server);
        let answer = browser.sign_in(json!({"name": name, "password": password})).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        browser
    }

    /// Signs in with a name and a password, or a token; asks for what changes need.
    pub async fn sign_in(&mut self, body: Value) -> Answer {
        let answer = self.call("POST", "/api/v1/session/", Some(body)).await;
        if let Some(given) = answer.headers.get(SET_COOKIE).and_then(|value| value.to_str().ok()) {
            self.cookie = given.split(';').next().unwrap_or_default().to_owned();
            let session = self.call("GET", "/api/v1/session/", None).await;
            self.token = session.body["csrf_token"].as_str().unwrap_or_default().to_owned();
        }
        answer
    }

    /// A call as its own pages make it.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.call_with(method, path, body, &[("Origin", self.server.base()), ("X-CSRF-Token", &self.token)]).await
    }

    /// A call with these headers beside the cookie.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn call_with(&self, method: &str, path: &str, body: Option<Value>, headers: &[(&str, &str)]) -> Answer {
        let method: Method = method.parse().expect("a method");
        let build = |client: &reqwest::Client, base: &str| {
            let mut request = client.request(method, format!("{base}{path}"));
            for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
                request = request.header(*name, *value);
            }
            if !self.cookie.is_empty() {
                request = request.header(COOKIE, &self.cookie);
            }
            match &body {
                Some(body) => request.json(body),
                None => request,
            }
        };
        self.server.custom(build).await
    }
}
