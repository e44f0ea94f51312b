//! The API as its users call it: over HTTP.

use std::net::SocketAddr;

use serde_json::Value;

/// A client of the demo's own server.
pub(super) struct ApiClient {
    client: reqwest::Client,
    base: String,
    key: String,
}

impl ApiClient {
    pub(super) fn new(address: SocketAddr, key: String) -> Result<Self, String> {
        let client = reqwest::Client::builder().no_proxy().build().map_err(|error| error.to_string())?;
        Ok(Self { client, base: format!("http://{address}"), key })
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.read(path, self.client.post(format!("{}{path}", self.base)).json(body)).await
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, String> {
        self.read(path, self.client.get(format!("{}{path}", self.base))).await
    }

    async fn read(&self, path: &str, request: reqwest::RequestBuilder) -> Result<Value, String> {
        let failed = |error: reqwest::Error| format!("{path}: {error}");
        let response = request.bearer_auth(&self.key).send().await.map_err(failed)?;
        let status = response.status();
        let body: Value = response.json().await.map_err(failed)?;
        if status.is_success() { Ok(body) } else { Err(format!("{path}: {status}: {body}")) }
    }
}
