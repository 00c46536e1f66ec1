//! `meshgate explain`: why the gateway does that with a request.

use meshgate_compiler::oracle::{Failed, Tried, walk};

use crate::output::{self, Failure};
use crate::route::text::Lines;
use crate::route::{Ask, Asked};

/// Show what the gateway does with a request, and why: which routes were tried, and what they wanted
///
/// The answer is that of `meshgate route`. After it come the domain that leads to the virtual host, every matcher that was
/// tried before the one that holds, with the condition that does not, and the one that does.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  meshgate explain -f config/ GET http://www.example.com/ratings?x=1
  meshgate explain -f config/ POST https://www.example.com/ -H 'x-user: jason' --all")]
pub(crate) struct Args {
    #[command(flatten)]
    ask: Ask,

    /// Show matchers with another path one by one, too
    #[arg(long)]
    all: bool,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let asked = args
        .ask
        .answer("there is no request: add a method and a URL")?;
    let text = asked.text();
    output::print(&format!("{text}{}", reasons(&asked, args.all)))
}

/// What was tried on the way.
fn reasons(asked: &Asked, all: bool) -> String {
    let Some(gateway) = asked.gateway() else {
        return String::new();
    };
    let mut lines = Lines::default();
    if gateway.https_redirect {
        lines.add("because", "the gateway redirects every request to https");
        return lines.text;
    }
    let walk = walk(gateway, &asked.request);
    match walk.domain {
        Some(domain) => lines.add("domain", &domain.to_string()),
        None => lines.add("domain", "none of the gateway's domains has this host"),
    }
    let sent = asked.request.path.split(['?', '#']).next();
    if walk.domain.is_some() && sent != Some(&walk.path) {
        lines.add("matched as", &walk.path);
    }
    let place = |tried: &Tried| {
        let location = asked.sources().location(tried.span);
        format!("{}  ({location})", tried.name)
    };
    let mut elsewhere = 0;
    let tell_elsewhere = |lines: &mut Lines, count: &mut usize| {
        if *count > 0 {
            let matchers = if *count == 1 { "matcher" } else { "matchers" };
            lines.add(
                "tried",
                &format!("{count} {matchers} with another path  (--all shows them)"),
            );
        }
        *count = 0;
    };
    for tried in &walk.tried {
        match &tried.failed {
            Some(Failed::Path(_)) if !all => elsewhere += 1,
            Some(failed) => {
                tell_elsewhere(&mut lines, &mut elsewhere);
                lines.add("tried", &format!("{}: {}", place(tried), failed.text()));
            }
            None => {
                tell_elsewhere(&mut lines, &mut elsewhere);
                lines.add("matches", &place(tried));
            }
        }
    }
    tell_elsewhere(&mut lines, &mut elsewhere);
    lines.text
}
