//! Policies that are decided beside the routes.

use crate::resource::ObjectName;

/// `extauth`: who else decides whether a request may pass.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Extauth {
    /// `disable`: nobody, whatever the levels above say.
    Disabled,
    /// `configRef`: the AuthConfig of this name.
    Config(ObjectName),
}
