//! The results as Markdown.

use std::time::Duration;

use meshgate_benches::{PeerKind, Table};

use crate::measure::{COUNTED, Decided, Meshgate};
use crate::{Results, SIZES, targets};

/// Everything between the marks.
pub(crate) fn report(results: &Results) -> String {
    let mut text = format!("### Targets\n\n{}", targets::targets(results));
    let mut section = |title: &str, table: String| {
        text += &format!("\n### {title}\n\n{table}");
    };
    section(
        "Decide, native: ns",
        decide(results, |row| row.native.nanoseconds),
    );
    section(
        "Decide in wasm (wasmtime): ns",
        decide(results, |row| row.in_wasm),
    );
    section("Decide, native: instructions", instructions(results));
    for table in Table::ALL {
        let title = format!("Other routers, `{}`: ns", table.name());
        section(&title, peers(results, table));
    }
    section(
        "Many hosts that delegate to route tables",
        delegated(results),
    );
    section(
        "Size of the program: bytes per route",
        bytes_per_route(results),
    );
    section(
        "Parts of the program, 100,000 routes: bytes per route",
        sections(results),
    );
    section("Load and verify: ms (ms per MB)", load(results));
    section("Compile from memory: ms", compile(results));
    text
}

/// What the README says: one decision for a table of an API, and a loop beside it.
pub(crate) fn summary(results: &Results) -> String {
    let titles = SIZES.map(size);
    let mut heads = vec!["ns for one request, REST API with so many routes"];
    heads.extend(titles.iter().map(String::as_str));
    let mut table = Markdown::new(&heads);
    let decided = |nanoseconds: fn(&Meshgate) -> f64| {
        SIZES.map(|routes| {
            let row = results.of(Table::Rest, routes);
            row.map_or("—".to_owned(), |row| nanoseconds_text(nanoseconds(row)))
        })
    };
    let mut row = |title: &str, cells: [String; SIZES.len()]| {
        table.row(
            std::iter::once(title.to_owned())
                .chain(cells)
                .collect::<Vec<_>>(),
        );
    };
    row("meshgate, native", decided(|row| row.native.nanoseconds));
    row("meshgate, in wasm", decided(|row| row.in_wasm));
    let scan = results
        .peers
        .iter()
        .find(|peer| peer.table == Table::Rest && peer.kind == PeerKind::Linear);
    if let Some(scan) = scan {
        let mut cells = SIZES.map(|_| "—".to_owned());
        for (cell, decided) in cells.iter_mut().zip(&scan.sizes) {
            if let Some(decided) = decided {
                *cell = nanoseconds_text(decided.nanoseconds);
            }
        }
        row("a loop over the routes", cells);
    }
    table.text()
}

fn decide(results: &Results, nanoseconds: fn(&Meshgate) -> f64) -> String {
    by_size(results, |row| nanoseconds_text(nanoseconds(row)))
}

fn instructions(results: &Results) -> String {
    by_size(results, |row| instructions_text(Some(row.native)))
}

fn bytes_per_route(results: &Results) -> String {
    by_size(results, |row| {
        format!("{:.1}", row.bytes as f64 / row.routes as f64)
    })
}

fn load(results: &Results) -> String {
    let mut table = Markdown::new(&[
        "table", "routes", "MB", "native", "per MB", "in wasm", "per MB",
    ]);
    for row in results.meshgate.iter().filter(|row| row.routes >= 10_000) {
        let megabytes = row.bytes as f64 / 1e6;
        let mut cells = vec![
            row.table.name().to_owned(),
            size(row.routes),
            format!("{megabytes:.1}"),
        ];
        for took in [row.load, row.load_in_wasm] {
            cells.push(milliseconds(took));
            cells.push(format!("{:.2}", took.as_secs_f64() * 1e3 / megabytes));
        }
        table.row(cells);
    }
    table.text()
}

fn compile(results: &Results) -> String {
    let yaml = &results.from_yaml;
    let table = by_size(results, |row| milliseconds(row.compile));
    format!(
        "{table}\n{} routes in {:.0} MB of YAML, prefixes in 100 route tables: {} ms.\n",
        size(yaml.routes),
        yaml.megabytes,
        milliseconds(yaml.compile),
    )
}

/// One row for each kind of table, one column for each size.
fn by_size(results: &Results, cell: impl Fn(&Meshgate) -> String) -> String {
    let mut header = vec!["table".to_owned()];
    header.extend(SIZES.map(size));
    let mut markdown = Markdown::new(&header);
    for table in Table::ALL {
        let cells = SIZES.map(|routes| results.of(table, routes).map_or_else(absent, &cell));
        markdown.row([table.name().to_owned()].into_iter().chain(cells));
    }
    markdown.text()
}

/// The least time of each size is set in bold.
fn peers(results: &Results, table: Table) -> String {
    let meshgate = SIZES.map(|routes| results.of(table, routes).map(|row| row.native));
    let peers = results.peers.iter().filter(|row| row.table == table);
    let rows: Vec<(&str, Vec<Option<Decided>>)> = [("meshgate", meshgate.to_vec())]
        .into_iter()
        .chain(peers.map(|row| (row.kind.name(), row.sizes.clone())))
        .collect();
    let least = |column: usize| {
        let times = rows.iter().filter_map(|(_, cells)| cells[column]);
        times.map(|cell| cell.nanoseconds).fold(f64::MAX, f64::min)
    };
    let mut header = vec!["router".to_owned()];
    header.extend(SIZES.map(size));
    header.extend(COUNTED.map(|routes| format!("instructions at {}", size(routes))));
    header.push("allocations".to_owned());
    let mut markdown = Markdown::new(&header);
    for (name, cells) in &rows {
        let mut texts = vec![(*name).to_owned()];
        texts.extend(cells.iter().enumerate().map(|(column, cell)| match cell {
            None => absent(),
            Some(cell) if cell.nanoseconds <= least(column) => {
                format!("**{}**", nanoseconds_text(cell.nanoseconds))
            }
            Some(cell) => nanoseconds_text(cell.nanoseconds),
        }));
        let at = |routes| {
            let column = SIZES.iter().position(|&size| size == routes)?;
            cells[column]
        };
        texts.extend(COUNTED.map(|routes| instructions_text(at(routes))));
        let counts = COUNTED.into_iter().find_map(|routes| at(routes)?.counts);
        texts.push(counts.map_or_else(absent, |counts| format!("{:.1}", counts.allocations)));
        markdown.row(texts);
    }
    markdown.text()
}

fn delegated(results: &Results) -> String {
    let mut table = Markdown::new(&[
        "hosts",
        "tables",
        "routes of a table",
        "routes of all hosts",
        "program bytes",
        "compile from YAML: ms",
        "decide: ns",
        "in wasm: ns",
    ]);
    for row in &results.delegated {
        table.row([
            size(row.shape.hosts),
            size(row.shape.tables),
            size(row.shape.routes),
            size(row.shape.effective_routes()),
            size(row.bytes),
            milliseconds(row.compile),
            nanoseconds_text(row.native),
            nanoseconds_text(row.in_wasm),
        ]);
    }
    table.text()
}

fn sections(results: &Results) -> String {
    const ROUTES: usize = 100_000;
    let columns: Vec<_> = Table::ALL
        .into_iter()
        .filter_map(|table| results.of(table, ROUTES))
        .collect();
    let names = columns.first().map(|row| row.sections.as_slice());
    let header = columns.iter().map(|row| row.table.name());
    let header: Vec<_> = ["part"].into_iter().chain(header).collect();
    let mut markdown = Markdown::new(&header);
    for name in names.unwrap_or_default().iter().map(|section| section.name) {
        let cells: Vec<_> = columns
            .iter()
            .map(|row| {
                let same = row.sections.iter().filter(|section| section.name == name);
                same.map(|section| section.bytes).sum::<usize>() as f64 / ROUTES as f64
            })
            .collect();
        if cells.iter().any(|&bytes| bytes >= 0.05) {
            let cells = cells.iter().map(|bytes| format!("{bytes:.1}"));
            markdown.row([name.to_owned()].into_iter().chain(cells));
        }
    }
    markdown.text()
}

fn nanoseconds_text(nanoseconds: f64) -> String {
    size(nanoseconds.round() as usize)
}

fn instructions_text(decided: Option<Decided>) -> String {
    let count = decided.and_then(|decided| decided.counts?.instructions);
    count.map_or_else(absent, |count| size(count.round() as usize))
}

fn milliseconds(took: Duration) -> String {
    let milliseconds = took.as_secs_f64() * 1e3;
    match milliseconds {
        ..0.1 => format!("{milliseconds:.3}"),
        ..10.0 => format!("{milliseconds:.1}"),
        _ => size(milliseconds.round() as usize),
    }
}

fn absent() -> String {
    "—".to_owned()
}

/// A number with its thousands set apart.
pub(crate) fn size(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A table under construction.
pub(crate) struct Markdown(String);

impl Markdown {
    pub(crate) fn new<T: AsRef<str>>(header: &[T]) -> Self {
        let mut table = Self(String::new());
        table.row(header);
        table.row(header.iter().enumerate().map(|(n, _)| match n {
            0 => "---",
            _ => "---:",
        }));
        table
    }

    pub(crate) fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) {
        for cell in cells {
            self.0 += "| ";
            self.0 += cell.as_ref();
            self.0 += " ";
        }
        self.0 += "|\n";
    }

    pub(crate) fn text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_set_in_thousands() {
        let texts = [0, 999, 1_000, 123_456, 1_000_000].map(size);
        assert_eq!(texts, ["0", "999", "1,000", "123,456", "1,000,000"]);
    }
}
