//! Publishes over one HTTP/1.1 connection, with as little work of its own as possible.

use std::ops::Range;

use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use postrider_bench::load::{Publisher, call};
use tokio::net::TcpStream;

/// The type of an event, by its number.
pub(crate) type TypeOf = fn(u64) -> String;

/// Publishes to one node.
pub(crate) struct Direct {
    /// Host and port.
    pub(crate) address: String,
    pub(crate) key: String,
    pub(crate) type_of: TypeOf,
    /// Whether events go as a batch, however many they are.
    pub(crate) batch: bool,
    pub(crate) connection: Option<SendRequest<Full<Bytes>>>,
}

impl Publisher for Direct {
    async fn publish(&mut self, numbers: Range<u64>, sent_at: u64) -> Result<(), String> {
        let (path, body) = call(numbers, sent_at, self.batch, self.type_of);
        let answered = self.post(path, body).await;
        if answered.is_err() {
            self.connection = None;
        }
        answered
    }
}

impl Direct {
    async fn post(&mut self, path: &str, body: String) -> Result<(), String> {
        let request = Request::post(path)
            .header(HOST, &self.address)
            .header(AUTHORIZATION, format!("Bearer {}", self.key))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| error.to_string())?;
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(connect(&self.address).await?),
        };
        connection.ready().await.map_err(|error| error.to_string())?;
        let response = connection.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        // A batch is taken though events of it may not be.
        let has_errors = self.batch && body.windows(9).any(|window| window == br#"{"error":"#);
        if status == 202 && !has_errors { Ok(()) } else { Err(format!("{status}")) }
    }
}

async fn connect(address: &str) -> Result<SendRequest<Full<Bytes>>, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    Ok(sender)
}
