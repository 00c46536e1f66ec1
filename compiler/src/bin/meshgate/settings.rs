//! What the filter is told besides the program.

use std::fs;
use std::path::PathBuf;

use meshgate_compiler::manifest::settings::{self, FilterSettings, TokenDigest};

use crate::output::Failure;

/// What the filter does besides routing.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Filter")]
pub(crate) struct SettingsArgs {
    /// What to count besides requests by virtual host and outcome
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    metrics: Vec<Metric>,

    /// File with a token: requests that have it in `x-meshgate-explain` get a response header that says what was decided
    #[arg(long, value_name = "FILE")]
    explain_token: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Metric {
    /// Requests by route
    Route,
    /// Histograms of the time from the headers of a request to those of its response
    Duration,
}

impl SettingsArgs {
    /// The first argument given.
    pub(crate) fn first_given(&self) -> Option<&'static str> {
        if !self.metrics.is_empty() {
            return Some("--metrics");
        }
        self.explain_token.as_ref().map(|_| "--explain-token")
    }

    pub(crate) fn settings(&self) -> Result<FilterSettings, Failure> {
        let mut metrics: Vec<settings::Metric> = Vec::new();
        for metric in &self.metrics {
            let metric = match metric {
                Metric::Route => settings::Metric::Route,
                Metric::Duration => settings::Metric::Duration,
            };
            if !metrics.contains(&metric) {
                metrics.push(metric);
            }
        }
        let explain = self.explain_token.as_ref().map(|path| {
            let name = path.display();
            let text = fs::read_to_string(path)
                .map_err(|error| Failure::usage(format!("cannot read `{name}`: {error}")))?;
            TokenDigest::of(text.trim()).ok_or_else(|| {
                let least = TokenDigest::MIN_TOKEN;
                Failure::usage(format!(
                    "the token in `{name}` cannot be used: write at least {least} letters, digits and other visible ASCII characters"
                ))
            })
        });
        Ok(FilterSettings {
            metrics,
            explain: explain.transpose()?,
            ..FilterSettings::default()
        })
    }
}
