//! Listens to everything: spans and events of `tracing`, lines of `log`, at every level and of every crate.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// A closed span and what was recorded in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Span {
    pub(crate) name: &'static str,
    pub(crate) parent: Option<&'static str>,
    pub(crate) fields: BTreeMap<&'static str, String>,
}

impl Span {
    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(String::as_str)
    }

    #[track_caller]
    pub(crate) fn number(&self, field: &str) -> u64 {
        let text = self.text(field).unwrap_or_else(|| panic!("no {field} in {self:?}"));
        text.parse().unwrap_or_else(|_| panic!("{field} is {text}"))
    }
}

static SPANS: Mutex<Vec<Span>> = Mutex::new(Vec::new());
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The closed spans of a repo, in the order in which they closed.
pub(crate) fn spans_of(repo: &str) -> Vec<Span> {
    let spans = SPANS.lock().unwrap_or_else(PoisonError::into_inner);
    spans.iter().filter(|span| span.text("repo") == Some(repo)).cloned().collect()
}

/// Whatever anybody said that has this text in it.
pub(crate) fn lines_with(text: &str) -> Vec<String> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.iter().filter(|line| line.contains(text)).cloned().collect()
}

fn say(line: String) {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).push(line);
}

/// Listens from now on.
pub(crate) fn install() {
    let subscriber = tracing_subscriber::registry().with(Listener);
    tracing::subscriber::set_global_default(subscriber).expect("the first subscriber");
    log::set_logger(&Lines).expect("the first logger");
    log::set_max_level(log::LevelFilter::Trace);
}

struct Lines;

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        say(format!("log {} {}: {}", record.level(), record.target(), record.args()));
    }

    fn flush(&self) {}
}

struct Listener;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Listener {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut seen = Span { name: span.name(), parent: span.parent().map(|parent| parent.name()), ..Span::default() };
        attributes.record(&mut Fields(&mut seen.fields));
        say(format!("span {seen:?}"));
        span.extensions_mut().insert(seen);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(seen) = span.extensions_mut().get_mut::<Span>() {
            values.record(&mut Fields(&mut seen.fields));
            say(format!("span {seen:?}"));
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = BTreeMap::new();
        event.record(&mut Fields(&mut fields));
        say(format!("event {} {}: {fields:?}", event.metadata().level(), event.metadata().target()));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let seen = context.span(&id).and_then(|span| span.extensions_mut().remove::<Span>());
        SPANS.lock().unwrap_or_else(PoisonError::into_inner).extend(seen);
    }
}

struct Fields<'a>(&'a mut BTreeMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}"); // writing to a String cannot fail
        self.0.insert(field.name(), text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}
