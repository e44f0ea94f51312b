//! The `where` of lists, put together from fixed parts.

use postrider_core::TenantId;
use postrider_core::delivery::{DeliveryState, StatusFilter};

use super::dialect::Field;
use super::{Dialect, Query};

type Binder<DB> = Box<dyn FnOnce(Query<DB>) -> Query<DB> + Send>;

/// Conditions of a list, each with its value bound.
pub(super) struct Conditions<DB: Dialect> {
    sql: String,
    values: usize,
    binders: Vec<Binder<DB>>,
}

impl<DB: Dialect> Conditions<DB> {
    /// Every list is of one tenant.
    pub(super) fn new(tenant_column: &str, tenant_id: TenantId) -> Self {
        let sql = String::new();
        let mut conditions = Self { sql, values: 0, binders: Vec::new() };
        conditions.value(&format!("{tenant_column} = {{}}"), Some(tenant_id.uuid()));
        conditions
    }

    /// Adds a condition with `{}` where the value goes, if there is a value.
    pub(super) fn value<T: Field + 'static>(&mut self, condition: &str, value: Option<T>) {
        let Some(value) = value else { return };
        self.values += 1;
        self.raw(&condition.replace("{}", &format!("${}", self.values)));
        self.binders.push(Box::new(move |query| query.bind(value)));
    }

    /// Adds a condition of fixed text.
    pub(super) fn raw(&mut self, condition: &str) {
        let join = if self.sql.is_empty() { "" } else { " and " };
        self.sql.push_str(join);
        self.sql.push_str(condition);
    }

    /// `{select} where {conditions} {rest}`, with `{limit}` in `rest` bound to `limit`.
    pub(super) fn query(self, select: &str, rest: &str, limit: i64) -> Query<DB> {
        let rest = rest.replace("{limit}", &format!("${}", self.values + 1));
        let sql = format!("{select} where {} {rest}", self.sql);
        let query = self.binders.into_iter().fold(Query::assembled(sql), |query, bind| bind(query));
        query.bind(limit)
    }
}

/// The states that pass, in words that let planners see the index on what is undelivered.
pub(super) fn state_condition(status: StatusFilter) -> String {
    let codes = status.states().map(|state| state.code().to_string()).collect::<Vec<_>>().join(", ");
    match status {
        StatusFilter::Is(DeliveryState::Delivered) => format!("d.state in ({codes})"),
        _ => format!("d.state <> 1 and d.state in ({codes})"),
    }
}
