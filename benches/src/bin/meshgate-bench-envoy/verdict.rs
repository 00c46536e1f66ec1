//! What the figures say: whether the targets are met, and who does better where.

use std::fmt;

use meshgate_benches::Table;

use crate::configuration::Router;
use crate::load::Protocol;
use crate::plan::Plan;
use crate::report::{grouped, list, micros};
use crate::routing::{Cell, Target, find};

/// From the fewest to the most routes, a request gets dearer by at most this share.
const FLAT: f64 = 0.15;

/// The filter adds at most this many microseconds to a request that is not routed at all.
const OVERHEAD: f64 = 4.5;

/// With that many prefix routes, the filter answers at least that many times as many requests per second as a list.
const AHEAD: [(usize, f64); 2] = [(10_000, 8.0), (100_000, 200.0)];

/// Whether a target is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    what: String,
    /// By how much it is missed; absent if it is met.
    missed: Option<String>,
}

impl Verdict {
    fn new(what: String, missed: Option<String>) -> Verdict {
        Verdict { what, missed }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.missed {
            None => write!(f, "**held**: {}", self.what),
            Some(missed) => write!(f, "**missed** by {missed}: {}", self.what),
        }
    }
}

/// All targets of which something is known.
pub(crate) fn verdicts(plan: &Plan, cells: &[Cell]) -> Vec<Verdict> {
    let flat = plan
        .tables
        .iter()
        .filter_map(|&table| flat(plan, cells, table));
    let overhead = plan
        .sizes
        .first()
        .and_then(|&routes| overhead(cells, routes));
    let ahead = AHEAD.into_iter().flat_map(|(routes, target)| {
        [Target::Last, Target::Spread].map(|which| ahead(cells, routes, target, which))
    });
    flat.chain(overhead).chain(ahead.flatten()).collect()
}

fn least(cells: &[Cell], table: Table, router: Router, routes: usize) -> Option<f64> {
    find(
        cells,
        Protocol::Http2,
        table,
        router,
        routes,
        Target::Spread,
    )
    .map(Cell::least_micros)
}

fn flat(plan: &Plan, cells: &[Cell], table: Table) -> Option<Verdict> {
    let costs: Vec<f64> = plan
        .sizes
        .iter()
        .filter_map(|&routes| least(cells, table, Router::Meshgate, routes))
        .collect();
    let [first, .., last] = plan.sizes.as_slice() else {
        return None;
    };
    let cheapest = costs.iter().copied().reduce(f64::min)?;
    let dearest = costs.iter().copied().reduce(f64::max)?;
    let range = dearest / cheapest - 1.0;
    let what = format!(
        "meshgate, {}: {} to {} µs from {} to {} routes, which is {:.0} % (target: at most {:.0} %)",
        table.name(),
        micros(cheapest),
        micros(dearest),
        grouped(*first),
        grouped(*last),
        range * 100.0,
        FLAT * 100.0,
    );
    let missed = (range > FLAT).then(|| format!("{:.1} points", (range - FLAT) * 100.0));
    Some(Verdict::new(what, missed))
}

fn overhead(cells: &[Cell], routes: usize) -> Option<Verdict> {
    let with = least(cells, Table::Prefix, Router::Meshgate, routes)?;
    let without = least(cells, Table::Prefix, Router::CatchAll, 0)?;
    let added = with - without;
    let what = format!(
        "the filter with {} prefix routes costs {added:.1} µs over no filter (target: at most {OVERHEAD} µs)",
        grouped(routes),
    );
    let missed = (added > OVERHEAD).then(|| format!("{:.1} µs", added - OVERHEAD));
    Some(Verdict::new(what, missed))
}

fn ahead(cells: &[Cell], routes: usize, target: f64, which: Target) -> Option<Verdict> {
    let rate = |router, which| {
        find(cells, Protocol::Http2, Table::Prefix, router, routes, which).map(Cell::best_rate)
    };
    let ratio = rate(Router::Meshgate, Target::Spread)? / rate(Router::List, which)?;
    let requests = match which {
        Target::Last => "when every request is for the last route",
        Target::Spread => "when requests are for any route",
    };
    let what = format!(
        "{} prefix routes: {ratio:.1} times the requests/s of the route list {requests} (target: at least {target} times)",
        grouped(routes),
    );
    let missed = (ratio < target).then(|| format!("{:.0} %", (1.0 - ratio / target) * 100.0));
    Some(Verdict::new(what, missed))
}

/// Who is cheaper, where, and by how much: one sentence for each table and each of Envoy's own routers.
pub(crate) fn comparisons(plan: &Plan, cells: &[Cell]) -> Vec<String> {
    let mut sentences = Vec::new();
    for &table in &plan.tables {
        for router in [Router::List, Router::MatcherTree] {
            let gains: Vec<(usize, f64)> = plan
                .sizes
                .iter()
                .filter_map(|&routes| {
                    let ours = least(cells, table, Router::Meshgate, routes)?;
                    Some((routes, least(cells, table, router, routes)? - ours))
                })
                .collect();
            if !gains.is_empty() {
                let table = table.name();
                let router = router.name();
                sentences.push(format!("{table}: the {router} is {}", compare(&gains)));
            }
        }
    }
    sentences
}

/// In words, how much dearer something is at each number of routes.
fn compare(gains: &[(usize, f64)]) -> String {
    let part = |word: &str, sign: f64| {
        let part: Vec<_> = gains
            .iter()
            .filter(|(_, gain)| gain.is_sign_positive() == sign.is_sign_positive())
            .collect();
        let amounts = part.iter().map(|(_, gain)| gain.abs());
        let (lowest, highest) = (amounts.clone().reduce(f64::min)?, amounts.reduce(f64::max)?);
        let amount = match (micros(lowest), micros(highest)) {
            (lowest, highest) if lowest == highest => lowest,
            (lowest, highest) => format!("{lowest} to {highest}"),
        };
        let sizes: Vec<String> = part.iter().map(|(routes, _)| grouped(*routes)).collect();
        Some(format!("{word} by {amount} µs at {} routes", list(&sizes)))
    };
    let parts = [part("cheaper", -1.0), part("dearer", 1.0)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::tests::cell;

    fn plan() -> Plan {
        Plan {
            tables: vec![Table::Prefix],
            sizes: vec![10, 10_000],
            ..Plan::full()
        }
    }

    fn said(verdicts: &[Verdict]) -> Vec<String> {
        verdicts.iter().map(Verdict::to_string).collect()
    }

    #[test]
    fn targets_that_are_met() {
        let cells = [
            cell(Router::CatchAll, 0, Target::Spread, 10),
            cell(Router::Meshgate, 10, Target::Spread, 14),
            cell(Router::Meshgate, 10_000, Target::Spread, 15),
            cell(Router::List, 10_000, Target::Spread, 130),
            cell(Router::List, 10_000, Target::Last, 270),
        ];
        assert_eq!(
            said(&verdicts(&plan(), &cells)),
            [
                "**held**: meshgate, prefix: 14.0 to 15.0 µs from 10 to 10,000 routes, which is 7 % (target: at most 15 %)",
                "**held**: the filter with 10 prefix routes costs 4.0 µs over no filter (target: at most 4.5 µs)",
                "**held**: 10,000 prefix routes: 18.0 times the requests/s of the route list when every request is for the \
                 last route (target: at least 8 times)",
                "**held**: 10,000 prefix routes: 8.7 times the requests/s of the route list when requests are for any route \
                 (target: at least 8 times)",
            ]
        );
    }

    #[test]
    fn targets_that_are_missed() {
        let cells = [
            cell(Router::CatchAll, 0, Target::Spread, 10),
            cell(Router::Meshgate, 10, Target::Spread, 20),
            cell(Router::Meshgate, 10_000, Target::Spread, 25),
            cell(Router::List, 10_000, Target::Last, 100),
        ];
        let said = said(&verdicts(&plan(), &cells));
        let starts = ["10.0 points", "5.5 µs", "50 %"].map(|by| format!("**missed** by {by}: "));
        assert_eq!(said.len(), starts.len(), "{said:?}");
        for (said, start) in said.iter().zip(starts) {
            assert!(said.starts_with(&start), "{said}");
        }
    }

    #[test]
    fn who_is_cheaper_is_said_with_sizes_and_amounts() {
        let cells = [
            cell(Router::Meshgate, 10, Target::Spread, 14),
            cell(Router::Meshgate, 10_000, Target::Spread, 15),
            cell(Router::List, 10, Target::Spread, 11),
            cell(Router::List, 10_000, Target::Spread, 130),
            cell(Router::MatcherTree, 10, Target::Spread, 10),
            cell(Router::MatcherTree, 10_000, Target::Spread, 10),
        ];
        assert_eq!(
            comparisons(&plan(), &cells),
            [
                "prefix: the route list is cheaper by 3.0 µs at 10 routes, dearer by 115 µs at 10,000 routes",
                "prefix: the matcher tree is cheaper by 4.0 to 5.0 µs at 10 and 10,000 routes",
            ]
        );
    }
}
