//! The demo: an example's requests, what became of each, and whether that is right.

use meshgate_compiler::answer::Outcome;

use crate::cases::{Case, Executor, Group, Observed, compare};

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The request.
    pub request: String,
    /// Full name of the route that took it.
    pub route: String,
    /// Status, and the destination or what the answer was.
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
        let request = request(case);
        match session.answer(&case.request, &case.upstream_response) {
            Ok(observed) => Row {
                request,
                route: observed
                    .answer
                    .route
                    .clone()
                    .unwrap_or_else(|| "-".to_owned()),
                outcome: outcome(&observed),
                failures: compare(case, &observed).failures,
            },
            Err(reason) => Row {
                request,
                route: "-".to_owned(),
                outcome: "no answer".to_owned(),
                failures: vec![reason],
            },
        }
    };
    Ok(example.cases.iter().map(&mut row).collect())
}

fn request(case: &Case) -> String {
    let request = &case.request;
    let mut text = format!("{} {}{}", request.method, request.authority, request.path);
    for (name, value) in &request.headers {
        text.push_str(&format!(" {name}: {value}"));
    }
    text
}

fn outcome(observed: &Observed) -> String {
    let response = observed.response.as_ref();
    let status = response.map_or(0, |response| response.status);
    let location = || {
        let mut headers = response.into_iter().flat_map(|response| &response.headers);
        let location = headers.find(|(name, _)| name == "location");
        location.map_or("", |(_, value)| value.as_str())
    };
    match (observed.answer.outcome, &observed.answer.destination) {
        (Outcome::Forward, Some(destination)) => {
            // Pods of one service differ in their labels, which the name of the cluster tells.
            let mut parts = destination.cluster.split('|').skip(2);
            let subset = parts.next().filter(|subset| !subset.is_empty());
            let subset = subset.map_or_else(String::new, |subset| format!(" ({subset})"));
            let rewritten = observed
                .answer
                .request
                .as_ref()
                .map_or("", |request| &request.path);
            format!("{status} {}{subset} {rewritten}", destination.name)
        }
        (Outcome::Forward, None) => format!("{status} from nowhere"),
        (Outcome::Redirect, _) => format!("{status} to {}", location()),
        (Outcome::DirectResponse, _) => format!("{status} direct response"),
        (Outcome::NotFound, _) => format!("{status} no route"),
        (Outcome::Rejected, _) => format!("{status} rejected"),
    }
}

/// The rows as a table, with what failed below each line.
pub fn table(rows: &[Row]) -> String {
    let width = |column: fn(&Row) -> &str| {
        rows.iter()
            .map(|row| column(row).chars().count())
            .max()
            .unwrap_or(0)
    };
    let (request, route, outcome) = (
        width(|row| &row.request),
        width(|row| &row.route),
        width(|row| &row.outcome),
    );
    let mut table = String::new();
    let mut line = |cells: [&str; 4]| {
        let [a, b, c, d] = cells;
        let text = format!("{a:request$}  {b:route$}  {c:outcome$}  {d}");
        table.push_str(text.trim_end());
        table.push('\n');
    };
    line(["request", "route", "outcome", ""]);
    for row in rows {
        let passes = if row.failures.is_empty() {
            "pass"
        } else {
            "FAIL"
        };
        line([&row.request, &row.route, &row.outcome, passes]);
        for failure in &row.failures {
            line([&format!("    {failure}"), "", "", ""]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{Row, table};

    #[test]
    fn columns_are_aligned_and_failures_stand_below() {
        let row = |request: &str, failures: &[&str]| Row {
            request: request.to_owned(),
            route: "a/b".to_owned(),
            outcome: "200 x".to_owned(),
            failures: failures.iter().map(ToString::to_string).collect(),
        };
        let rows = [
            row("GET a/", &[]),
            row("GET a/long", &["route: expected x"]),
        ];
        assert_eq!(
            table(&rows),
            "request     route  outcome\n\
             GET a/      a/b    200 x    pass\n\
             GET a/long  a/b    200 x    FAIL\n    route: expected x\n"
        );
    }
}
