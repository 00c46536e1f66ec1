//! The report: everything that was measured, in Markdown.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use meshgate_benches::{Table, request};

use crate::configuration::Router;
use crate::load::Protocol;
use crate::machine::{Cpus, Machine};
use crate::plan::Plan;
use crate::routing::{Cell, Round, Server, Target, find};
use crate::statistics::{maximum, median, minimum};
use crate::update::Updates;
use crate::verdict::{comparisons, verdicts};

/// If other programs kept the worker from its CPU for a larger share of the time than this, the figures are provisional.
const QUIET: f64 = 0.02;

/// If the worker had nothing to do for a larger share of the time than this, the client was too slow for it.
const BUSY: f64 = 0.05;

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    /// The machine.
    pub(crate) machine: &'a Machine,
    /// Who ran where.
    pub(crate) cpus: Cpus,
    /// How it was measured.
    pub(crate) plan: &'a Plan,
    /// What it takes to have the routers.
    pub(crate) servers: &'a [Server],
    /// What it takes to route.
    pub(crate) cells: &'a [Cell],
    /// What it takes to replace a program.
    pub(crate) updates: &'a [Updates],
}

/// A way to route in the tables of the report.
struct Column {
    title: &'static str,
    router: Router,
    target: Target,
}

const COLUMNS: [Column; 5] = [
    Column {
        title: "no filter",
        router: Router::CatchAll,
        target: Target::Spread,
    },
    Column {
        title: "meshgate",
        router: Router::Meshgate,
        target: Target::Spread,
    },
    Column {
        title: "route list",
        router: Router::List,
        target: Target::Spread,
    },
    Column {
        title: "route list, last route",
        router: Router::List,
        target: Target::Last,
    },
    Column {
        title: "matcher tree",
        router: Router::MatcherTree,
        target: Target::Spread,
    },
];

impl Display for Report<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.head(f)?;
        writeln!(f, "\n## Targets\n")?;
        for verdict in verdicts(self.plan, self.cells) {
            writeln!(f, "- {verdict}")?;
        }
        writeln!(f, "\n## Who is cheaper\n")?;
        writeln!(
            f,
            "Compared with meshgate, in CPU time per request (minimum, requests for any route):\n"
        )?;
        for sentence in comparisons(self.plan, self.cells) {
            writeln!(f, "- {sentence}")?;
        }
        self.routing(f, "", Protocol::Http2, &self.plan.tables)?;
        if let Some(table) = self.plan.http1 {
            self.routing(f, ", over HTTP/1.1", Protocol::Http1, &[table])?;
        }
        self.start(f)?;
        self.update(f)?;
        self.trust(f)
    }
}

impl Report<'_> {
    fn head(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Machine {
            description,
            envoy,
            date,
            commit,
        } = self.machine;
        let plan = self.plan;
        let (connections, batch) = Protocol::Http2.connections();
        writeln!(
            f,
            "# Routing in Envoy\n\n\
             Written by `cargo xtask bench` on {date}, at {commit}.\n\n\
             - Envoy {envoy}, one worker; {description}\n\
             - HTTP/2, {connections} connections with {batch} requests at a time; {}\n\
             - {} rounds of {:.2} s, in reverse order every other round\n\
             - every route answers by itself (`direct_response`), so nothing but routing is measured\n\
             - how and why: [ENVOY.md](../ENVOY.md)\n\n\
             {}![µs of worker CPU per request by number of routes](envoy.svg)\n\n\
             The tables, and a request for one of their routes:\n",
            if self.cpus.are_one() {
                "Envoy and the client share one CPU"
            } else {
                "Envoy is pinned to one CPU, the client to another"
            },
            plan.rounds,
            plan.time.as_secs_f64(),
            if self.was_quiet() {
                ""
            } else {
                "**Provisional: the machine was busy with other things.**\n\n"
            },
        )?;
        for &table in &plan.tables {
            let request = request(table, 7);
            let header = request
                .headers
                .iter()
                .find(|(name, _)| name.starts_with(b"x-tenant"))
                .map(|(name, value)| {
                    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                    format!(" with `{}: {}`", text(name), text(value))
                });
            let what = match table {
                Table::Prefix => "path prefixes",
                Table::Exact => "exact paths",
                Table::OneHeader => "one exact header on prefix `/`",
                Table::HeaderRegex => "one pattern for a header on prefix `/`",
                Table::TwoHeaders => "two exact headers on prefix `/`",
                Table::Rest => {
                    "half regular expressions, a quarter exact paths, a quarter prefixes"
                }
            };
            writeln!(
                f,
                "- **{}**: {what}; `GET {}`{}",
                table.name(),
                request.path,
                header.unwrap_or_default()
            )?;
        }
        Ok(())
    }

    /// What the README says: path prefixes, the least CPU time.
    pub(crate) fn summary(&self) -> String {
        let sizes: Vec<String> = self.plan.sizes.iter().map(|&n| grouped(n)).collect();
        let mut text = format!(
            "| µs of worker CPU per request, so many prefix routes | {} |\n|---|{}\n",
            sizes.join(" | "),
            "--:|".repeat(sizes.len())
        );
        for Column {
            title,
            router,
            target,
        } in COLUMNS
        {
            let cells = self.plan.sizes.iter().map(|&routes| {
                let (protocol, table) = (Protocol::Http2, Table::Prefix);
                let cell = find(self.cells, protocol, table, router, routes, target);
                cell.map_or("-".to_owned(), |cell| micros(cell.least_micros()))
            });
            let cells: Vec<String> = cells.collect();
            text += &format!("| {title} | {} |\n", cells.join(" | "));
        }
        text
    }

    fn routing(
        &self,
        f: &mut Formatter<'_>,
        suffix: &str,
        protocol: Protocol,
        tables: &[Table],
    ) -> fmt::Result {
        type Figure = fn(&Cell) -> String;
        let figures: [(&str, Figure); 2] = [
            (
                "CPU time of the worker per request, µs: minimum / median",
                |cell| {
                    format!(
                        "{} / {}",
                        micros(cell.least_micros()),
                        micros(median(cell.rounds.iter().map(Round::worker_micros)))
                    )
                },
            ),
            ("Thousands of requests per second: best / median", |cell| {
                format!(
                    "{} / {}",
                    thousands(cell.best_rate()),
                    thousands(median(cell.rounds.iter().map(Round::rate)))
                )
            }),
        ];
        for (title, figure) in figures {
            writeln!(f, "\n## {title}{suffix}\n")?;
            let titles = COLUMNS.map(|column| column.title).join(" | ");
            writeln!(f, "| table | routes | {titles} |")?;
            writeln!(f, "|---|--:|{}", "--:|".repeat(COLUMNS.len()))?;
            for &table in tables {
                for &routes in &self.plan.sizes {
                    let row = COLUMNS.map(|Column { router, target, .. }| {
                        let cell = find(self.cells, protocol, table, router, routes, target);
                        cell.map_or("-".to_owned(), figure)
                    });
                    let row = row.join(" | ");
                    writeln!(f, "| {} | {} | {row} |", table.name(), grouped(routes))?;
                }
            }
        }
        Ok(())
    }

    fn start(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let routers = [Router::Meshgate, Router::List, Router::MatcherTree];
        writeln!(
            f,
            "\n## Start and memory\n\n\
             From the start of the process until it is ready, and its resident memory after the requests.{}\n",
            self.without_routes()
        )?;
        writeln!(
            f,
            "| table | routes | {} |",
            routers.map(Router::name).join(" | ")
        )?;
        writeln!(f, "|---|--:|{}", "--:|".repeat(routers.len()))?;
        for &table in &self.plan.tables {
            for &routes in &self.plan.sizes {
                let row = routers.map(|router| {
                    let server = self.servers.iter().find(|server| {
                        let subject = server.subject;
                        (subject.table, subject.router, subject.routes) == (table, router, routes)
                    });
                    server.map_or("-".to_owned(), |server| {
                        format!(
                            "{:.2} s, {} MB",
                            server.start.as_secs_f64(),
                            server.resident_kilobytes / 1000
                        )
                    })
                });
                writeln!(
                    f,
                    "| {} | {} | {} |",
                    table.name(),
                    grouped(routes),
                    row.join(" | ")
                )?;
            }
        }
        Ok(())
    }

    fn without_routes(&self) -> String {
        let bare: Vec<&Server> = self
            .servers
            .iter()
            .filter(|server| server.subject.router == Router::CatchAll)
            .collect();
        let start = minimum(bare.iter().map(|server| server.start.as_secs_f64()));
        let memory = bare.iter().map(|server| server.resident_kilobytes).min();
        memory.map_or_else(String::new, |memory| {
            format!(
                " Without filter and routes: {start:.2} s, {} MB.",
                memory / 1000
            )
        })
    }

    fn update(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n## Slowest request while a program is replaced\n\n\
             Of a client that sends one request after the other, in ms: minimum / median / maximum over {} updates. Beside \
             it, the slowest in as much time without an update. Each update comes through a file (ECDS).\n\n\
             | program | routes | with an update | without | the new program answers after (median) |\n\
             |--:|--:|--:|--:|--:|",
            self.plan.updates
        )?;
        for updates in self.updates {
            let slowest = updates.seen.iter().map(|update| update.slowest);
            let effective = median(
                updates
                    .seen
                    .iter()
                    .map(|update| milliseconds(update.effective)),
            );
            writeln!(
                f,
                "| {:.2} MB | {} | {} | {} | {effective:.0} ms |",
                updates.bytes as f64 / 1e6,
                grouped(updates.routes),
                spread(slowest),
                spread(updates.quiet.iter().copied()),
            )?;
        }
        Ok(())
    }

    /// Shares of the time in which other programs kept Envoy's worker and the client from their CPUs.
    fn kept_waiting(&self) -> [f64; 2] {
        let rounds = || self.cells.iter().flat_map(|cell| &cell.rounds);
        [
            median(rounds().map(Round::worker_kept_waiting)),
            median(rounds().map(Round::client_kept_waiting)),
        ]
    }

    fn was_quiet(&self) -> bool {
        self.kept_waiting().iter().all(|share| *share <= QUIET)
    }

    /// What could have falsified the figures.
    fn trust(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [worker, client] = self.kept_waiting().map(|share| share * 100.0);
        writeln!(f, "\n## How far to trust this\n")?;
        writeln!(
            f,
            "- The machine was {}: other programs kept Envoy's worker from its CPU for {worker:.1} % of the time, and the \
             client for {client:.1} % (medians).",
            if self.was_quiet() { "quiet" } else { "busy" },
        )?;
        for (name, protocol) in [("HTTP/2", Protocol::Http2), ("HTTP/1.1", Protocol::Http1)] {
            let cells = self.cells.iter().filter(|cell| cell.protocol == protocol);
            let costs = cells.map(|cell| minimum(cell.rounds.iter().map(Round::client_micros)));
            let cost = median(costs);
            if !cost.is_nan() {
                let cost = micros(cost);
                writeln!(
                    f,
                    "- The client spent {cost} µs of CPU time per request over {name} (median)."
                )?;
            }
        }
        let idle = |cell: &&Cell| median(cell.rounds.iter().map(Round::worker_idle)) > BUSY;
        match self.cells.iter().filter(idle).count() {
            0 => writeln!(
                f,
                "- The worker was busy all the time, so the requests per second are Envoy's."
            ),
            idle => writeln!(
                f,
                "- In {idle} of {} cells the worker had nothing to do for more than {:.0} % of the time (median), as the \
                 client was too late: there, Envoy could have answered more requests per second, and spent a little more CPU \
                 time on each, as it woke up more often.",
                self.cells.len(),
                BUSY * 100.0
            ),
        }
    }
}

/// Microseconds, with a decimal while it says something.
pub(crate) fn micros(micros: f64) -> String {
    if micros < 100.0 {
        format!("{micros:.1}")
    } else {
        grouped(micros.round() as usize)
    }
}

/// A rate in thousands per second.
fn thousands(rate: f64) -> String {
    let rate = rate / 1000.0;
    let decimals = match rate {
        ..1.0 => 3,
        ..10.0 => 2,
        _ => 1,
    };
    format!("{rate:.decimals$}")
}

/// Minimum, median and maximum in milliseconds.
fn spread(times: impl Iterator<Item = Duration> + Clone) -> String {
    let times = times.map(milliseconds);
    format!(
        "{:.1} / {:.1} / {:.1}",
        minimum(times.clone()),
        median(times.clone()),
        maximum(times)
    )
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A number with commas between its thousands.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Words in a row: `a, b and c`.
pub(crate) fn list(words: &[String]) -> String {
    match words {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_read_them() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(100), "100");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(micros(12.34), "12.3");
        assert_eq!(micros(7_680.4), "7,680");
        assert_eq!(thousands(88_412.0), "88.4");
        assert_eq!(thousands(2_512.0), "2.51");
        assert_eq!(thousands(112.0), "0.112");
        let times = [3, 1, 2].map(Duration::from_millis);
        assert_eq!(spread(times.into_iter()), "1.0 / 2.0 / 3.0");
        let words = ["10", "100", "1,000"].map(str::to_owned);
        assert_eq!(list(&words), "10, 100 and 1,000");
        assert_eq!(list(&words[..1]), "10");
        assert_eq!(list(&[]), "");
    }
}
