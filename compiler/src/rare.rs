//! What most routes do not have.

use std::ops::Deref;

/// A value that is mostly empty, and takes no room then.
#[derive(Clone, Debug)]
pub struct Rare<T>(Option<Box<T>>);

/// A type with an empty value.
pub trait Empty: 'static {
    /// It.
    const EMPTY: &'static Self;

    /// Whether this is it.
    fn is_empty(&self) -> bool;
}

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Empty> From<T> for Rare<T> {
    fn from(value: T) -> Self {
        Self((!value.is_empty()).then(|| Box::new(value)))
    }
}

impl<T: Empty> Deref for Rare<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::EMPTY)
    }
}
