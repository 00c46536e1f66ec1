//! `meshgate route`: what the gateway does with a request.

pub(crate) mod text;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use meshgate_compiler::answer::Answer;
use meshgate_compiler::route::{GatewayChoice, Request, find_route};
use meshgate_compiler::source::SourceMap;
use meshgate_compiler::tree::Gateway;
use serde::Serialize;

use crate::input::Inventories;
use crate::output::{self, Failure};
use crate::requests::{self, Query};
use crate::router::Router;

/// Show what the gateway does with a request
///
/// The resources are compiled as for a gateway, and the request is evaluated by the engine that the gateway runs.
/// Whatever has errors is left out. Exits with 0 when every request was evaluated.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --gateway the request goes to the first gateway with a domain for its host.

A request line has the fields authority and path, and if wanted method, scheme, headers, gateway, cluster and random;
for policies that ask for them source, sni, tlsIdentity (a list) and time (in seconds):
  {\"authority\":\"www.example.com\",\"path\":\"/ratings?x=1\",\"headers\":[[\"x-user\",\"jason\"]]}

Examples:
  meshgate route -f config/ GET http://www.example.com/ratings?x=1
  meshgate route -f config/ POST https://www.example.com/ -H 'x-user: jason' --gateway istio-gateways/www -o json
  meshgate route -f config/ --requests requests.jsonl")]
pub(crate) struct Args {
    #[command(flatten)]
    ask: Ask,

    /// File with one request per line, as JSON, answered by one line of JSON each; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["request", "headers", "random", "output"])]
    requests: Option<PathBuf>,

    /// How to print the answer
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// What is asked about a request, and of which resources.
#[derive(Debug, clap::Args)]
pub(crate) struct Ask {
    /// Files and folders with resources (*.yaml, *.yml, *.json); `-` is standard input
    #[arg(short = 'f', long = "file", value_name = "PATH", num_args = 1.., required = true)]
    files: Vec<String>,

    /// Method (GET when left out) and URL
    #[arg(value_name = "METHOD URL", num_args = 0..=2)]
    request: Vec<String>,

    /// Header of the request, as `name: value`
    #[arg(short = 'H', long = "header", value_name = "HEADER", value_parser = requests::parse_header)]
    headers: Vec<(String, String)>,

    /// Gateway that receives the request
    #[arg(long, value_name = "NAMESPACE/NAME")]
    gateway: Option<String>,

    #[command(flatten)]
    inventories: Inventories,

    /// Cluster in which the gateway runs
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    /// Number that decides between weighted destinations, at least 0 and less than 1 [default: by chance]
    #[arg(long, value_name = "NUMBER")]
    random: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    if let Some(requests) = &args.requests {
        let paths: Vec<PathBuf> = args.ask.files.iter().map(PathBuf::from).collect();
        let reads_stdin = |path: &PathBuf| path.as_os_str() == "-";
        if reads_stdin(requests) && paths.iter().any(reads_stdin) {
            return Err(Failure::usage(
                "resources and requests cannot both come from standard input",
            ));
        }
        let mut router = args.ask.router(&paths)?;
        return answer_lines(&mut router, requests, args.ask.gateway.as_deref());
    }
    let asked = args
        .ask
        .answer("there is no request: add a method and a URL, or `--requests FILE`")?;
    output::print(&match args.output {
        Format::Json => located(&asked.answer, asked.choice, &asked.router),
        Format::Text => asked.text(),
    })
}

impl Ask {
    /// `-f` takes all words that follow it. The last ones are the request when there is no other.
    fn files_and_request(&self) -> (&[String], &[String]) {
        if !self.request.is_empty() {
            return (&self.files, &self.request);
        }
        let is_method =
            |word: &String| !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase());
        let request_len = match self.files.as_slice() {
            [_, .., method, url] if url.contains("://") && is_method(method) => 2,
            [_, .., url] if url.contains("://") => 1,
            _ => 0,
        };
        self.files.split_at(self.files.len() - request_len)
    }

    fn router(&self, paths: &[PathBuf]) -> Result<Router, Failure> {
        Router::new(paths, &self.inventories, self.cluster.as_deref())
    }

    /// Answers the request; `missing` says that there is none.
    pub(crate) fn answer(&self, missing: &str) -> Result<Asked, Failure> {
        let (files, request) = self.files_and_request();
        let (method, url) = match request {
            [url] => ("GET", url),
            [method, url] => (method.as_str(), url),
            _ => return Err(Failure::usage(missing)),
        };
        let request = requests::parse_args(method, url, &self.headers, self.random)
            .map_err(Failure::usage)?;
        let paths: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        let mut router = self.router(&paths)?;
        let query = Query {
            request,
            gateway: self.gateway.clone(),
            cluster: None,
        };
        let (choice, answer) = router.answer(&query).map_err(Failure::usage)?;
        Ok(Asked {
            request: query.request,
            router,
            choice,
            answer,
        })
    }
}

/// A request with its answer.
pub(crate) struct Asked {
    pub(crate) request: Request,
    router: Router,
    choice: GatewayChoice,
    answer: Answer,
}

impl Asked {
    /// The answer, as text for people.
    pub(crate) fn text(&self) -> String {
        text::render(
            &self.request,
            &self.answer,
            self.choice,
            &self.router.target,
            &self.router.sources,
        )
    }

    /// The gateway that has answered.
    pub(crate) fn gateway(&self) -> Option<&Gateway> {
        self.router.target.tree.gateways.get(self.choice.index)
    }

    pub(crate) fn sources(&self) -> &SourceMap {
        &self.router.sources
    }
}

/// Answers every line. Bad lines are reported by number and make the command fail in the end.
fn answer_lines(
    router: &mut Router,
    requests: &Path,
    gateway: Option<&str>,
) -> Result<(), Failure> {
    let mut name = requests.display().to_string();
    let reader: Box<dyn BufRead> = if name == "-" {
        name = "<stdin>".to_owned();
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(requests).map_err(|error| {
            Failure::usage(format!("cannot read `{}`: {error}", requests.display()))
        })?;
        Box::new(BufReader::new(file))
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut bad_lines = 0;
    for (number, line) in (1..).zip(reader.split(b'\n')) {
        let line =
            line.map_err(|error| Failure::usage(format!("cannot read `{name}`: {error}")))?;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let answer = str::from_utf8(&line)
            .map_err(|_| "not UTF-8 text".to_owned())
            .and_then(requests::parse_line)
            .and_then(|mut query| {
                query.gateway = query.gateway.or_else(|| gateway.map(str::to_owned));
                router.answer(&query)
            });
        match answer {
            Ok((_, answer)) => out.write_all(json_line(&answer).as_bytes())?,
            Err(message) => {
                bad_lines += 1;
                output::error(&format!("{name}:{number}: {message}"));
            }
        }
    }
    out.flush()?;
    if bad_lines > 0 {
        Err(Failure::arguments())
    } else {
        Ok(())
    }
}

/// An answer with the place of each of its route's options, and of each setting of its destination.
fn located(answer: &Answer, choice: GatewayChoice, router: &Router) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Located<'a> {
        #[serde(flatten)]
        answer: &'a Answer,
        option_places: BTreeMap<&'static str, String>,
    }
    let route = find_route(&router.target.tree, choice.index, answer);
    let places = route
        .map(|route| route.options.places())
        .unwrap_or_default();
    let located = Located {
        answer,
        option_places: places
            .into_iter()
            .chain(router.target.settings(answer).places())
            .map(|(name, span)| (name, router.sources.location(span).to_string()))
            .collect(),
    };
    let json = serde_json::to_string(&located).expect("places are strings");
    format!("{json}\n")
}

fn json_line(answer: &Answer) -> String {
    let json = serde_json::to_string(answer).expect("an answer consists of strings and numbers");
    format!("{json}\n")
}
