//! Who looks at a page, and where they are.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Path, RawQuery};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use postrider_core::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;

use crate::fault::Fault;
use crate::form::Form;
use crate::rest::{Answer, Asker, Rest, written};

/// Who is signed in, as the API says.
#[derive(Clone, Deserialize)]
pub(crate) struct Session {
    pub(crate) name: Option<String>,
    pub(crate) role: String,
    pub(crate) tenant_id: Option<String>,
    pub(crate) csrf_token: String,
}

impl Session {
    pub(crate) fn is_operator(&self) -> bool {
        self.tenant_id.is_none()
    }

    pub(crate) fn may_change(&self) -> bool {
        self.role != "tenant-viewer"
    }

    pub(crate) fn may_rule(&self) -> bool {
        self.role == "operator-admin"
    }
}

/// Somebody who is signed in, at a page.
pub(crate) struct Visit {
    pub(crate) session: Session,
    /// The tenant that the page is about.
    pub(crate) tenant_id: Option<String>,
    /// What else the path names.
    id: String,
    query: String,
    rest: Rest,
    asker: Asker,
}

impl FromRequestParts<Rest> for Visit {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, rest: &Rest) -> Result<Self, Fault> {
        let named = Path::<HashMap<String, String>>::from_request_parts(parts, rest).await;
        let mut named = named.map(|Path(named)| named).unwrap_or_default();
        let RawQuery(query) = RawQuery::from_request_parts(parts, rest).await.unwrap_or(RawQuery(None));
        let mut asker = Asker::of(parts);
        let known = rest.call(&asker, Method::GET, "/api/v1/session", None).await?;
        if known.status == StatusCode::UNAUTHORIZED {
            // A form is not sent again by itself.
            let next = if parts.method.is_safe() { parts.uri.to_string() } else { "/".to_owned() };
            return Err(Fault::NotSignedIn(next));
        }
        let session: Session = known.success()?;
        let tenant_id = named.remove("tenant");
        match (&tenant_id, &session.tenant_id) {
            // Somebody else's is as good as none.
            (Some(named), Some(own)) if named != own => return Err(Fault::not_found()),
            (Some(named), None) => asker.in_tenant(named)?,
            (None, Some(_)) if parts.uri.path() != "/" => return Err(Fault::not_found()),
            _ => {}
        }
        let id = named.remove("id").unwrap_or_default();
        Ok(Self { session, tenant_id, id, query: query.unwrap_or_default(), rest: rest.clone(), asker })
    }
}

impl Visit {
    /// What the path names, as it may stand in another path.
    pub(crate) fn id(&self) -> String {
        segment(&self.id)
    }

    /// A path below the tenant's.
    pub(crate) fn link(&self, path: &str) -> String {
        format!("/t/{}{path}", segment(self.tenant_id.as_deref().unwrap_or_default()))
    }

    /// A parameter of the page's query, unless it is empty.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.into_owned())
    }

    /// The query for the API: those of the page's parameters that it knows, and others.
    pub(crate) fn query(&self, known: &[&str], besides: &[(&str, &str)]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for name in known {
            if let Some(value) = self.parameter(name) {
                query.append_pair(name, &value);
            }
        }
        query.extend_pairs(besides);
        query.finish()
    }

    /// From now on asks without anybody doing anything.
    pub(crate) fn by_itself(&mut self) {
        self.asker.by_itself();
    }

    /// What time it is.
    pub(crate) fn now(&self) -> Timestamp {
        self.rest.now()
    }

    pub(crate) fn place_for_live(&self) -> Result<OwnedSemaphorePermit, Fault> {
        self.rest.place_for_live()
    }

    /// What a GET answers.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Fault> {
        self.rest.get(&self.asker, path).await
    }

    /// What a form asks for.
    pub(crate) async fn change<T: DeserializeOwned>(
        &self,
        form: &Form,
        method: Method,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, Fault> {
        self.send(form, method, path, body).await?.success()
    }

    /// The same, whatever the answer is.
    pub(crate) async fn send(
        &self,
        form: &Form,
        method: Method,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<Answer, Fault> {
        let mut asker = self.asker.clone();
        asker.with_token(&form.token());
        self.rest.send(&asker, method, path, written(body)?).await
    }
}

/// A text as one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_leads_nowhere_else() {
        assert_eq!(segment("0198c5f2-7d4e-7b3a"), "0198c5f2-7d4e-7b3a");
        assert_eq!(segment("../a b?c#d"), "..%2Fa%20b%3Fc%23d");
    }
}
