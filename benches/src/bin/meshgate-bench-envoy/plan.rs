//! What is measured, and for how long.

use std::time::Duration;

use meshgate_benches::Table;

/// What is measured, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Kinds of tables.
    pub(crate) tables: Vec<Table>,
    /// Numbers of routes, in rising order.
    pub(crate) sizes: Vec<usize>,
    /// How often every cell of a table is measured.
    pub(crate) rounds: usize,
    /// How long it is measured each time.
    pub(crate) time: Duration,
    /// Kind of table that is measured over HTTP/1.1 as well.
    pub(crate) http1: Option<Table>,
    /// Sizes of the programs that replace one another in a running Envoy, in bytes.
    pub(crate) update_sizes: Vec<usize>,
    /// How often each does.
    pub(crate) updates: usize,
}

const TABLES: [Table; 4] = [Table::Prefix, Table::Exact, Table::OneHeader, Table::Rest];
const MEGABYTE: usize = 1_000_000;

impl Plan {
    /// Everything.
    pub(crate) fn full() -> Plan {
        Plan {
            tables: TABLES.to_vec(),
            sizes: vec![10, 100, 1_000, 10_000, 100_000],
            rounds: 9,
            time: Duration::from_millis(400),
            http1: Some(Table::Prefix),
            update_sizes: vec![MEGABYTE, 10 * MEGABYTE],
            updates: 12,
        }
    }

    /// Enough to see where things stand.
    pub(crate) fn quick() -> Plan {
        Plan {
            sizes: vec![10, 10_000, 100_000],
            rounds: 3,
            time: Duration::from_millis(250),
            http1: None,
            updates: 4,
            ..Plan::full()
        }
    }

    /// Enough to see that everything works.
    pub(crate) fn smoke() -> Plan {
        Plan {
            tables: vec![Table::Prefix],
            sizes: vec![10],
            rounds: 1,
            time: Duration::from_millis(50),
            http1: Some(Table::Prefix),
            update_sizes: vec![MEGABYTE / 100],
            updates: 1,
        }
    }
}
