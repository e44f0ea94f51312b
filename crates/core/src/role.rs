//! What people who sign in may do.

use serde::{Deserialize, Serialize};

use crate::api_key::{Scope, Scopes};

/// What somebody is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Everything, in every tenant.
    OperatorAdmin,
    /// Looks and acts in every tenant, but is not shown what a tenant hides, and changes no tenants and no users.
    Operator,
    /// Everything that is the tenant's own.
    TenantAdmin,
    /// Looks at what is the tenant's own, but for what the tenant hides.
    TenantViewer,
}

impl Role {
    /// Every role, strongest first.
    pub const ALL: [Self; 4] = [Self::OperatorAdmin, Self::Operator, Self::TenantAdmin, Self::TenantViewer];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OperatorAdmin => "operator-admin",
            Self::Operator => "operator",
            Self::TenantAdmin => "tenant-admin",
            Self::TenantViewer => "tenant-viewer",
        }
    }

    /// The role of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Whether it is for the sender's people, who are in no tenant.
    #[must_use]
    pub const fn is_operators(self) -> bool {
        matches!(self, Self::OperatorAdmin | Self::Operator)
    }

    /// What it permits, in the words of keys.
    #[must_use]
    pub fn scopes(self) -> Scopes {
        let scopes: &[Scope] = match self {
            Self::OperatorAdmin => &[Scope::Admin],
            Self::Operator => &[Scope::Manage],
            Self::TenantAdmin => &[Scope::Manage, Scope::Payloads],
            Self::TenantViewer => &[Scope::Read],
        };
        scopes.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for role in Role::ALL {
            assert_eq!(Role::named(role.name()), Some(role));
            assert_eq!(serde_json::to_value(role).expect("JSON"), role.name());
        }
        assert_eq!(Role::named("root"), None);
    }

    #[test]
    fn only_admins_see_what_is_hidden_and_only_one_may_everything() {
        let may = |scope| Role::ALL.map(|role| role.scopes().permits(scope));
        assert_eq!(may(Scope::Read), [true; 4]);
        assert_eq!(may(Scope::Manage), [true, true, true, false]);
        assert_eq!(may(Scope::Payloads), [true, false, true, false]);
        assert_eq!(may(Scope::Admin), [true, false, false, false]);
    }
}
