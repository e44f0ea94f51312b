//! Calls, and the list of them: what is served is what is listed.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};

use crate::state::Api;

/// A method and a path, without its trailing slash; what is in braces varies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// In capitals.
    pub method: &'static str,
    /// Begins at the root.
    pub path: &'static str,
}

/// A router that knows what it serves.
#[derive(Default)]
pub(crate) struct Calls {
    router: Router<Api>,
    list: Vec<Call>,
}

impl Calls {
    pub(crate) fn get<T: 'static>(self, path: &'static str, handler: impl Handler<T, Api>) -> Self {
        self.on("GET", MethodFilter::GET, path, handler)
    }

    pub(crate) fn post<T: 'static>(self, path: &'static str, handler: impl Handler<T, Api>) -> Self {
        self.on("POST", MethodFilter::POST, path, handler)
    }

    pub(crate) fn patch<T: 'static>(self, path: &'static str, handler: impl Handler<T, Api>) -> Self {
        self.on("PATCH", MethodFilter::PATCH, path, handler)
    }

    pub(crate) fn delete<T: 'static>(self, path: &'static str, handler: impl Handler<T, Api>) -> Self {
        self.on("DELETE", MethodFilter::DELETE, path, handler)
    }

    fn on<T: 'static>(
        mut self,
        method: &'static str,
        filter: MethodFilter,
        path: &'static str,
        handler: impl Handler<T, Api>,
    ) -> Self {
        self.router = self.router.route(path, on(filter, handler));
        self.list.push(Call { method, path });
        self
    }

    /// Does something with all of them.
    pub(crate) fn map(self, change: impl FnOnce(Router<Api>) -> Router<Api>) -> Self {
        Self { router: change(self.router), list: self.list }
    }

    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.list.extend(other.list);
        Self { router: self.router.merge(other.router), list: self.list }
    }

    pub(crate) fn router(self) -> Router<Api> {
        self.router
    }

    pub(crate) fn list(self) -> Vec<Call> {
        self.list
    }
}
