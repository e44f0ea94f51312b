//! What was begun is finished, though the client may hang up.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::problem::Problem;

/// Runs requests that change something in a task of their own. A client that hangs up would
/// otherwise end a change between its commit and what follows from it. A process that stops waits for these tasks.
pub(crate) async fn finish(State(changes): State<TaskTracker>, request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let running = changes.spawn(next.run(request).in_current_span());
    running.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request was not finished");
        Problem::internal().into_response()
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::body::Body;
    use axum::routing::post;
    use tokio::sync::Notify;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_handler_goes_on_after_the_client_hung_up() {
        let (begun, go_on, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let handler = {
            let (begun, go_on, done) = (Arc::clone(&begun), Arc::clone(&go_on), Arc::clone(&done));
            async move || {
                begun.notify_one();
                go_on.notified().await;
                done.notify_one();
            }
        };
        let changes = TaskTracker::new();
        let layer = axum::middleware::from_fn_with_state(changes.clone(), finish);
        let routes: Router = Router::new().route("/", post(handler)).layer(layer);
        let call = routes.oneshot(Request::post("/").body(Body::empty()).expect("a request"));
        tokio::select! {
            _ = call => panic!("it waits"),
            () = begun.notified() => {}
        }
        assert_eq!(changes.len(), 1, "it is waited for");
        go_on.notify_one();
        done.notified().await;
    }
}
