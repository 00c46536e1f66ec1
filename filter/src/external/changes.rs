//! Changes of headers that services ask for.
//!
//! A service may change what destinations and clients see. It may not change where a request goes, how it is framed, or
//! how the proxy treats it: pseudo headers, `host`, the headers of connections and bodies, and the control headers stay
//! as they are, whatever a service says. Names and values that HTTP does not allow are passed over too.

use proxy_wasm::types::MapType;

use crate::{control, host};

/// A change of one header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    operation: Operation,
    /// Lower-case.
    name: Vec<u8>,
    value: Vec<u8>,
}

/// What happens to a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// The value is the only one.
    Set,
    /// The value comes after those that are there.
    Add,
    /// The value is added to none.
    AddIfAbsent,
    /// The value takes the place of those that are there.
    SetIfPresent,
    /// The header is removed.
    Remove,
}

/// Headers that belong to a connection or say how long a body is.
const FRAMING: [&[u8]; 10] = [
    b"connection",
    b"content-length",
    b"host",
    b"http2-settings",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
];

impl Change {
    /// A change, if it is one that a service may make.
    pub(super) fn new(operation: Operation, name: &[u8], value: &[u8]) -> Option<Change> {
        let name = name.to_ascii_lowercase();
        let may_change = is_token(&name)
            && !FRAMING.contains(&name.as_slice())
            && !control::is_control(&name)
            && !value.iter().any(|&byte| matches!(byte, 0 | b'\n' | b'\r'));
        may_change.then(|| Change {
            operation,
            name,
            value: value.to_vec(),
        })
    }

    /// Name and value.
    pub(super) fn pair(&self) -> (&[u8], &[u8]) {
        (&self.name, &self.value)
    }
}

/// A token of RFC 9110 in lower case, which no pseudo header is.
fn is_token(name: &[u8]) -> bool {
    let is_sound = |byte: &u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(byte)
    };
    !name.is_empty() && name.iter().all(is_sound)
}

/// Makes the changes to the request or the response.
pub(crate) fn apply(map: MapType, changes: &[Change]) {
    for Change {
        operation,
        name,
        value,
    } in changes
    {
        match operation {
            Operation::Remove => host::remove_header(map, name),
            Operation::Add => host::add_header(map, name, value),
            Operation::Set => host::replace_header(map, name, value),
            Operation::AddIfAbsent if !host::has_header(map, name) => {
                host::add_header(map, name, value);
            }
            Operation::SetIfPresent if host::has_header(map, name) => {
                host::replace_header(map, name, value);
            }
            Operation::AddIfAbsent | Operation::SetIfPresent => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_may_not_change() {
        for name in [
            "",
            ":path",
            ":authority",
            "Host",
            "Content-Length",
            "transfer-encoding",
            "X-Meshgate-Cluster",
            "x-envoy-retry-on",
            "x-envoy-upstream-rq-timeout-ms",
            "a b",
            "a\r\nb",
        ] {
            assert_eq!(
                Change::new(Operation::Set, name.as_bytes(), b"v"),
                None,
                "{name:?}"
            );
        }
        for value in ["a\r\nb: c", "a\nb", "a\0"] {
            assert_eq!(
                Change::new(Operation::Set, b"x", value.as_bytes()),
                None,
                "{value:?}"
            );
        }
    }

    #[test]
    fn what_it_may_change_is_in_lower_case() {
        let change = Change::new(Operation::Add, b"X-User", b"\xffj").expect("it may");
        assert_eq!(change.pair(), (&b"x-user"[..], &b"\xffj"[..]));
    }
}
