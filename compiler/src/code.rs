//! Codes of diagnostics. A code never changes its meaning; retired codes are not reused.

use crate::diagnostic::Severity;

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal, $slug:literal;)*) => {
        /// Stable code of a diagnostic: `E…` errors, `W…` warnings, `N…` notes. E/W/N00xx reading files,
        /// 01xx references and delegation, 02xx matchers, 03xx actions and destinations, 04xx options,
        /// 05xx gateways and domains, 06xx limits.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $doc])* $name,)*
        }

        impl Code {
            /// All codes, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The code as printed, for example `E0107`.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// Its short name, for example `delegation-cycle`.
            pub fn slug(self) -> &'static str {
                match self { $(Code::$name => $slug,)* }
            }
        }
    };
}

codes! {
    /// A delegating route leads back to a route table that it came through.
    DelegationCycle = "E0107", "delegation-cycle";
}

impl Code {
    /// The severity its first letter stands for.
    pub fn severity(self) -> Severity {
        match self.as_str().as_bytes().first() {
            Some(b'E') => Severity::Error,
            Some(b'W') => Severity::Warning,
            _ => Severity::Note,
        }
    }
}
