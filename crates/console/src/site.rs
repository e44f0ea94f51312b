//! Pages, and the list of them: what is served is what is listed.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{get, post};

use crate::rest::Rest;

/// A router that knows what it serves.
#[derive(Default)]
pub(crate) struct Site {
    router: Router<Rest>,
    list: Vec<(&'static str, &'static str)>,
}

impl Site {
    pub(crate) fn get<T: 'static>(mut self, path: &'static str, page: impl Handler<T, Rest>) -> Self {
        self.router = self.router.route(path, get(page));
        self.list.push(("GET", path));
        self
    }

    pub(crate) fn post<T: 'static>(mut self, path: &'static str, form: impl Handler<T, Rest>) -> Self {
        self.router = self.router.route(path, post(form));
        self.list.push(("POST", path));
        self
    }

    pub(crate) fn router(self) -> Router<Rest> {
        self.router
    }

    pub(crate) fn list(self) -> Vec<(&'static str, &'static str)> {
        self.list
    }
}
