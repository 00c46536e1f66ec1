//! The demo: an example's requests, the routes that take them, what becomes of them, and whether that is right.

use meshgate_compiler::answer::Outcome;

use crate::cases::{Case, Executor, Group, Observed, Request, compare};

/// A request and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The host that was asked.
    pub host: String,
    /// Method, path and headers.
    pub request: String,
    /// The table or virtual host, and the route in it. What delegated to that is left out.
    pub route: String,
    /// Status, and where the answer comes from or leads to.
    pub outcome: String,
    /// What is not as expected; empty if the row passes.
    pub failures: Vec<String>,
}

/// Sends every request of an example.
///
/// # Errors
/// When the executor cannot load the example.
pub fn rows(example: &Group, executor: &dyn Executor) -> Result<Vec<Row>, String> {
    let mut session = executor.load(example)?;
    let mut row = |case: &Case| {
        let observed = session.answer(&case.request, &case.upstream_response);
        let (route, outcome, failures) = match observed {
            Ok(observed) => (
                route(observed.answer.route.as_deref()),
                outcome(&observed, &case.request),
                compare(case, &observed).failures,
            ),
            Err(reason) => ("-".to_owned(), "no answer".to_owned(), vec![reason]),
        };
        Row {
            host: case.request.authority.clone(),
            request: request(&case.request),
            route,
            outcome,
            failures: failures
                .into_iter()
                .map(|failure| format!("{}: {failure}", case.name))
                .collect(),
        }
    };
    Ok(example.cases.iter().map(&mut row).collect())
}

fn request(request: &Request) -> String {
    let mut text = format!("{} {}", request.method, request.path);
    for (name, value) in &request.headers {
        text.push_str(&format!("  {name}: {value}"));
    }
    text
}

/// The end of a route's full name, which is `namespace.object/route` for each object on the way to it.
fn route(full_name: Option<&str>) -> String {
    let Some(full_name) = full_name else {
        return "-".to_owned();
    };
    let segments: Vec<&str> = full_name.split('/').collect();
    // What is left over is the name of a matcher.
    let (pairs, _) = segments.as_chunks::<2>();
    pairs.last().map_or_else(
        || full_name.to_owned(),
        |[object, route]| {
            let (_, name) = object.split_once('.').unwrap_or(("", object));
            format!("{name}/{route}")
        },
    )
}

fn outcome(observed: &Observed, request: &Request) -> String {
    let answer = &observed.answer;
    let response = observed.response.as_ref();
    let what = match answer.outcome {
        Outcome::Forward => {
            let mut what = String::new();
            if let Some(destination) = &answer.destination {
                what.push_str(&destination.name);
                // Pods of one service differ in their labels, which only the name of the cluster tells.
                let labels = destination.cluster.split('|').nth(2);
                if let Some(labels) = labels.filter(|labels| !labels.is_empty()) {
                    what.push_str(&format!(" {labels}"));
                }
            }
            let sent = answer.request.as_ref();
            if let Some(sent) = sent.filter(|sent| sent.path != request.path) {
                what.push_str(&format!(" as {}", sent.path));
            }
            what
        }
        Outcome::Redirect => {
            let mut headers = response.into_iter().flat_map(|response| &response.headers);
            let location = headers.find(|(name, _)| name == "location");
            let location = location.map_or("nowhere", |(_, value)| value.as_str());
            // A location on the same host is told by its path.
            let origin = format!("{}://{}", request.scheme, request.authority);
            match location.strip_prefix(&origin) {
                Some(path) if path.starts_with('/') => path.to_owned(),
                _ => location.to_owned(),
            }
        }
        Outcome::DirectResponse => "direct response".to_owned(),
        Outcome::NotFound => "no route".to_owned(),
        Outcome::Rejected => "rejected".to_owned(),
    };
    match response {
        Some(response) => format!("{} {what}", response.status),
        None => what,
    }
}

/// The rows as a table for people, host by host, with what failed below each row.
pub fn table(rows: &[Row], color: bool) -> String {
    let paint = |text: &str, code: u8| {
        if color {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    };
    let mut table = String::new();
    for rows in rows.chunk_by(|a, b| a.host == b.host) {
        let host = rows.first().map_or("", |row| &row.host);
        table.push_str(&format!("{}\n", paint(host, BOLD)));
        // Columns are as wide as each host needs them, so that long ones do not push all others off the screen.
        let width = |column: fn(&Row) -> &str| {
            let widths = rows.iter().map(|row| column(row).chars().count());
            widths.max().unwrap_or(0)
        };
        let request = width(|row| &row.request);
        let route = width(|row| &row.route);
        for row in rows {
            let mark = if row.failures.is_empty() {
                paint("pass", GREEN)
            } else {
                paint("FAIL", RED)
            };
            table.push_str(&format!(
                "{mark}  {:request$}  {:route$}  {}\n",
                row.request, row.route, row.outcome
            ));
            for failure in &row.failures {
                table.push_str(&format!("      {failure}\n"));
            }
        }
        table.push('\n');
    }
    table
}

const BOLD: u8 = 1;
const RED: u8 = 31;
const GREEN: u8 = 32;

#[cfg(test)]
mod tests {
    use super::{Row, route, table};

    fn row(host: &str, request: &str, failures: &[&str]) -> Row {
        Row {
            host: host.to_owned(),
            request: request.to_owned(),
            route: "table/route".to_owned(),
            outcome: "200 x".to_owned(),
            failures: failures.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn columns_are_aligned_by_host_and_failures_stand_below() {
        let rows = [
            row("a", "GET /", &[]),
            row("a", "GET /long", &["the long one: route: expected x"]),
            row("b", "GET /", &[]),
        ];
        let expected = "\
a
pass  GET /      table/route  200 x
FAIL  GET /long  table/route  200 x
      the long one: route: expected x

b
pass  GET /  table/route  200 x

";
        assert_eq!(table(&rows, false), expected);
        assert_eq!(table(&rows, true).matches("\x1b[32mpass\x1b[0m").count(), 2);
    }

    #[test]
    fn routes_are_told_by_the_object_that_has_them() {
        for (full_name, expected) in [
            (None, "-"),
            (Some("shop.host/cart"), "host/cart"),
            (Some("shop.host/api/team.a.table/list"), "a.table/list"),
            (Some("shop.host/api/team.table/0/matcher"), "table/0"),
        ] {
            assert_eq!(route(full_name), expected);
        }
    }
}
