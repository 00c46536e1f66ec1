//! Choices between strategies.
//!
//! Proptest's own keep the alternatives for shrinking, and hand half of the random bytes that are left to each. Of the
//! bytes of a fuzzer nothing would be left after a few choices; these take what they need, in order.

use std::fmt::Debug;

use proptest::prelude::*;
use proptest::strategy::{NewTree, ValueTree};
use proptest::test_runner::TestRunner;

/// One of several strategies, by weight.
#[derive(Clone, Debug)]
pub(super) struct OneOf<T>(Vec<(u32, BoxedStrategy<T>)>);

impl<T: Debug> OneOf<T> {
    pub(super) fn new(alternatives: Vec<(u32, BoxedStrategy<T>)>) -> Self {
        Self(alternatives)
    }
}

impl<T: Debug> Strategy for OneOf<T> {
    type Tree = Box<dyn ValueTree<Value = T>>;
    type Value = T;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let total: u32 = self.0.iter().map(|(weight, _)| weight).sum();
        let mut at = (0..total).new_tree(runner)?.current();
        let chosen = self.0.iter().find(|(weight, _)| {
            let found = at < *weight;
            at = at.saturating_sub(*weight);
            found
        });
        let (_, strategy) = chosen.ok_or("no alternatives")?;
        strategy.new_tree(runner)
    }
}

/// `one_of![2 => strategy, 1 => other]`.
macro_rules! one_of {
    ($($weight:expr => $strategy:expr),+ $(,)?) => {
        $crate::generate::choice::OneOf::new(vec![
            $(($weight, proptest::strategy::Strategy::boxed($strategy))),+
        ])
    };
}
pub(super) use one_of;

/// A value or none, by their weights.
pub(super) fn optional<S>(none: u32, some: u32, strategy: S) -> OneOf<Option<S::Value>>
where
    S: Strategy + 'static,
    S::Value: Debug + 'static,
{
    one_of![
        none => Just(()).prop_map(|()| None),
        some => strategy.prop_map(Some),
    ]
}
