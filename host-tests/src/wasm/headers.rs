//! A header map with the behaviour of Envoy's.

use std::fmt;

/// Header names and values in the order in which they came. Names are lower-case; a name may occur several times.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    entries: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Headers {
    /// A map without headers.
    pub fn new() -> Headers {
        Headers::default()
    }

    /// Appends a value, whether or not the header is there already.
    pub fn add(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.entries
            .push((name.as_ref().to_ascii_lowercase(), value.as_ref().to_vec()));
    }

    /// Makes `value` the only value of the header.
    pub fn replace(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let mut first = true;
        self.entries.retain_mut(|(entry_name, entry_value)| {
            if !entry_name.eq_ignore_ascii_case(name.as_ref()) {
                return true;
            }
            if first {
                *entry_value = value.as_ref().to_vec();
            }
            std::mem::take(&mut first)
        });
        if first {
            self.add(name, value);
        }
    }

    /// Removes every value of the header.
    pub fn remove(&mut self, name: impl AsRef<[u8]>) {
        self.entries
            .retain(|(entry_name, _)| !entry_name.eq_ignore_ascii_case(name.as_ref()));
    }

    /// The first value of the header.
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        self.iter()
            .find(|(entry_name, _)| entry_name.eq_ignore_ascii_case(name.as_ref()))
            .map(|(_, value)| value)
    }

    /// Every value of the header, in order.
    pub fn get_all(&self, name: impl AsRef<[u8]>) -> Vec<&[u8]> {
        self.iter()
            .filter(|(entry_name, _)| entry_name.eq_ignore_ascii_case(name.as_ref()))
            .map(|(_, value)| value)
            .collect()
    }

    /// All names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        self.entries
            .iter()
            .map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// Number of entries; a header with two values counts twice.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no header at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in pairs {
            headers.add(name, value);
        }
        headers
    }
}

/// Prints `name: value` lines, bytes outside ASCII escaped, so that a failed assertion can be read.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(
                self.iter().map(|(name, value)| {
                    format!("{}: {}", name.escape_ascii(), value.escape_ascii())
                }),
            )
            .finish()
    }
}
