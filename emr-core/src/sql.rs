//! SQL text that is made once, and the builder that makes it.

use std::fmt::{self, Write};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, LazyLock};

use quick_cache::sync::Cache;
use siphasher::sip128::{Hasher128, SipHasher13};
use smallvec::SmallVec;

use crate::capabilities::Capabilities;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::schema::Schema;
use crate::value::Value;

/// A statement's text with all that is known of it. Cloning copies a pointer.
#[derive(Clone)]
pub struct Sql(Arc<Statement>);

struct Statement {
    text: Box<str>,
    key: u128,
    contexts: Box<[BindContext]>,
    cacheable: bool,
    effect: Effect,
}

/// What a statement may do, as far as EMR wrote it itself. An adapter that sends a statement along with the
/// BEGIN before it must know what happens if that BEGIN fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Anything: raw SQL, and SQL with fragments in it.
    Unknown,
    /// It reads.
    Read,
    /// It writes; `returning` says whether it ends with a RETURNING clause.
    Write {
        /// Whether rows come back.
        returning: bool,
    },
}

/// The column that a parameter is compared with or written to.
pub type BindContext = Option<(&'static Schema, usize)>;

/// The parameters of one statement.
pub type Params<'q> = SmallVec<[Value<'q>; 8]>;

impl Sql {
    /// Raw SQL. Its parameters have no context.
    pub fn raw(text: impl Into<Box<str>>) -> Self {
        let text = text.into();
        let mut hasher = new_hasher();
        hasher.write(text.as_bytes());
        Sql(Arc::new(Statement {
            key: hasher.finish128().as_u128(),
            text,
            contexts: Box::default(),
            cacheable: true,
            effect: Effect::Unknown,
        }))
    }

    /// The same text, never kept as a prepared statement: it will not come again.
    pub fn once(text: impl Into<Box<str>>) -> Self {
        Sql(Arc::new(Statement {
            text: text.into(),
            key: 0,
            contexts: Box::default(),
            cacheable: false,
            effect: Effect::Unknown,
        }))
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Stands for the text: equal keys mean equal statements, within this process.
    pub fn key(&self) -> u128 {
        self.0.key
    }

    /// What it may do.
    pub fn effect(&self) -> Effect {
        self.0.effect
    }

    /// Whether it is worth keeping as a prepared statement.
    pub fn is_cacheable(&self) -> bool {
        self.0.cacheable
    }

    /// The column that parameter `n`, counted from 0, belongs to.
    pub fn context(&self, n: usize) -> BindContext {
        self.0.contexts.get(n).copied().flatten()
    }

    /// The error for a value that cannot be bound as parameter `n`, counted from 0, unchanged.
    pub fn encode_error(&self, n: usize, expected: impl Into<String>, value: &Value<'_>) -> Error {
        let (table, column, redact) = match self.context(n) {
            Some((schema, column)) => {
                let column = &schema.columns[column];
                (schema.table.to_owned(), column.name.to_owned(), column.redact)
            }
            None => (String::new(), format!("parameter {}", n + 1), false),
        };
        let found = if redact { "a redacted value".to_owned() } else { value.describe() };
        Error::new(crate::ErrorKind::Encode { table, column, expected: expected.into(), found })
    }
}

impl fmt::Debug for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.text.fmt(f)
    }
}

/// Every statement that was rendered, by the hash of its text: the second time, no text is made.
static RENDERED: LazyLock<Cache<u128, Sql>> = LazyLock::new(|| Cache::new(16_384));

/// Seeds the hashes of this process, so that nobody can prepare two texts with the same one.
static SEED: LazyLock<(u64, u64)> = LazyLock::new(|| {
    let seed = |salt: u64| RandomState::new().hash_one(salt);
    (seed(1), seed(2))
});

fn new_hasher() -> SipHasher13 {
    SipHasher13::new_with_keys(SEED.0, SEED.1)
}

/// Collects a statement: its text, and its parameters in the order of their marks.
///
/// The renderer runs twice over a query that is new and once over one that is known: first it only
/// hashes the text that it would make, and looks the hash up. As both runs are the same code, the
/// parameters always stand in the order of the text.
pub struct SqlBuilder<'q> {
    dialect: &'q dyn Dialect,
    capabilities: &'q Capabilities,
    out: Out,
    binds: Params<'q>,
    contexts: Vec<BindContext>,
    effect: Effect,
    has_fragment: bool,
    prefix: Option<&'q str>,
    /// Values that several marks stand for, and the number of their parameter.
    shared: Vec<(usize, usize)>,
    inline: bool,
    problem: Option<Error>,
}

/// Stand in the hash for what is no text; none of them is a byte of UTF-8.
const BARE_MARK: u8 = 0xff;
const COLUMN_MARK: u8 = 0xfe;
const NUMBER: u8 = 0xfd;
const OF_SCHEMA: u8 = 0xfc;
const DIALECT: u8 = 0xfb;
const NAME: u8 = 0xfa;
const SHARED_MARK: u8 = 0xf9;

enum Out {
    Hash(Fingerprint),
    Text(String),
}

/// Hashes a text that comes in pieces. The hash function pays more for a piece than for its bytes.
struct Fingerprint {
    hasher: SipHasher13,
    pieces: [u8; 128],
    len: usize,
}

impl Fingerprint {
    fn new() -> Self {
        Fingerprint { hasher: new_hasher(), pieces: [0; 128], len: 0 }
    }

    #[inline]
    fn write(&mut self, piece: &[u8]) {
        if let Some(free) = self.pieces.get_mut(self.len..self.len + piece.len()) {
            free.copy_from_slice(piece);
            self.len += piece.len();
        } else {
            self.write_through(piece);
        }
    }

    #[cold]
    fn write_through(&mut self, piece: &[u8]) {
        self.hasher.write(&self.pieces[..self.len]);
        self.hasher.write(piece);
        self.len = 0;
    }

    fn finish(mut self) -> u128 {
        self.hasher.write(&self.pieces[..self.len]);
        self.hasher.finish128().as_u128()
    }
}

impl<'q> SqlBuilder<'q> {
    /// Makes a statement, or finds it made. `render` writes it, and may run twice.
    ///
    /// # Errors
    /// What `render` finds wrong with the query; nothing was sent then.
    pub fn build(
        dialect: &'q dyn Dialect,
        capabilities: &'q Capabilities,
        render: impl Fn(&mut SqlBuilder<'q>),
    ) -> Result<(Sql, Params<'q>), Error> {
        let mut builder = SqlBuilder {
            dialect,
            capabilities,
            out: Out::Hash(Fingerprint::new()),
            binds: Params::new(),
            contexts: Vec::new(),
            effect: Effect::Unknown,
            has_fragment: false,
            prefix: None,
            shared: Vec::new(),
            inline: false,
            problem: None,
        };
        // Two engines may agree on every word of a statement and not on its marks, which the hash leaves out.
        if let Out::Hash(hasher) = &mut builder.out {
            hasher.write(dialect.name().as_bytes());
            hasher.write(&[DIALECT]);
        }
        render(&mut builder);
        if let Some(problem) = builder.problem {
            return Err(problem);
        }
        if builder.binds.len() > capabilities.max_parameters {
            return Err(Error::invalid(format!(
                "the statement has {} parameters; {} takes {}",
                builder.binds.len(),
                capabilities.server,
                capabilities.max_parameters
            )));
        }
        let out = std::mem::replace(&mut builder.out, Out::Text(String::new()));
        let Out::Hash(hasher) = out else { return Err(Error::invalid("the renderer lost its hash")) };
        let key = hasher.finish();
        if let Some(sql) = RENDERED.get(&key) {
            return Ok((sql, builder.binds));
        }
        let params = std::mem::take(&mut builder.binds);
        builder.shared.clear();
        builder.out = Out::Text(String::with_capacity(128));
        render(&mut builder);
        if let Some(problem) = builder.problem {
            return Err(problem);
        }
        let Out::Text(text) = builder.out else { return Err(Error::invalid("the renderer lost its text")) };
        let sql = Sql(Arc::new(Statement {
            text: text.into(),
            key,
            contexts: builder.contexts.into(),
            cacheable: true,
            effect: if builder.has_fragment { Effect::Unknown } else { builder.effect },
        }));
        RENDERED.insert(key, sql.clone());
        Ok((sql, params))
    }

    /// The dialect.
    pub fn dialect(&self) -> &'q dyn Dialect {
        self.dialect
    }

    /// What the server can do.
    pub fn capabilities(&self) -> &'q Capabilities {
        self.capabilities
    }

    /// Writes SQL.
    pub fn push(&mut self, sql: &str) -> &mut Self {
        match &mut self.out {
            Out::Hash(hasher) => hasher.write(sql.as_bytes()),
            Out::Text(text) => text.push_str(sql),
        }
        self
    }

    /// Writes what follows from the dialect, the schema and `tag` alone. The hash takes the schema and the
    /// tag in the place of the text, so that a statement that is known costs no look at every column.
    pub(crate) fn of_schema(&mut self, tag: &str, schema: &'static Schema, write: impl FnOnce(&mut Self)) {
        match &mut self.out {
            Out::Hash(hasher) => {
                hasher.write(&[OF_SCHEMA]);
                hasher.write(&std::ptr::from_ref(schema).addr().to_ne_bytes());
                hasher.write(tag.as_bytes());
                hasher.write(&[OF_SCHEMA]);
            }
            Out::Text(_) => write(self),
        }
    }

    /// Writes a number.
    pub fn push_number(&mut self, number: u64) -> &mut Self {
        match &mut self.out {
            Out::Hash(hasher) => {
                hasher.write(&[NUMBER]);
                hasher.write(&number.to_ne_bytes());
            }
            Out::Text(text) => {
                // Writing to a String cannot fail.
                let _ = write!(text, "{number}");
            }
        }
        self
    }

    /// Writes a quoted identifier. Any text is allowed but the empty one and one with NUL.
    pub fn ident(&mut self, name: &str) -> &mut Self {
        // The hash takes the name as it is: what cannot be quoted fails when the text is made, and is never kept.
        if let Out::Hash(hasher) = &mut self.out {
            hasher.write(&[NAME]);
            hasher.write(name.as_bytes());
            hasher.write(&[NAME]);
            return self;
        }
        if name.is_empty() || name.contains('\0') {
            self.fail(Error::invalid(format!("{name:?} is no identifier: it is empty or has a NUL in it")));
            return self;
        }
        let (open, close) = self.dialect.quotes();
        let mut buffer = [0; 4];
        self.push(open.encode_utf8(&mut buffer));
        let mut rest = name;
        while let Some(at) = rest.find(close) {
            let (head, tail) = rest.split_at(at + close.len_utf8());
            self.push(head).push(close.encode_utf8(&mut [0; 4]));
            rest = tail;
        }
        self.push(rest);
        self.push(close.encode_utf8(&mut buffer))
    }

    /// Writes the mark of a parameter and takes its value.
    pub fn bind(&mut self, value: Value<'q>, context: BindContext) -> &mut Self {
        if self.inline {
            return self.literal(&value);
        }
        if let Some(name) = self.dialect.parameter_type(value.sql_type()) {
            self.push("CAST(");
            return self.mark(value, context).push(" AS ").push(name).push(")");
        }
        self.mark(value, context)
    }

    /// Writes the mark alone.
    fn mark(&mut self, value: Value<'q>, context: BindContext) -> &mut Self {
        self.binds.push(value);
        match &mut self.out {
            // The mark and the struct it belongs to are part of what makes a statement this one.
            Out::Hash(hasher) => match context {
                None => hasher.write(&[BARE_MARK]),
                Some((schema, column)) => {
                    hasher.write(&[COLUMN_MARK]);
                    hasher.write(&std::ptr::from_ref(schema).addr().to_ne_bytes());
                    hasher.write(&column.to_ne_bytes());
                }
            },
            Out::Text(_) => {
                self.contexts.push(context);
                self.dialect.placeholder(self, self.contexts.len());
            }
        }
        self
    }

    /// Writes values into the text from here on, or no more: where the server compares texts and not values.
    pub(crate) fn inline_values(&mut self, inline: bool) {
        self.inline = inline;
    }

    fn literal(&mut self, value: &Value<'_>) -> &mut Self {
        match value {
            Value::Bool(truth) => {
                let text = self.dialect.condition(*truth);
                self.push(text)
            }
            Value::I16(number) => self.push(&number.to_string()),
            Value::I32(number) => self.push(&number.to_string()),
            Value::I64(number) => self.push(&number.to_string()),
            // Whether a backslash means itself is a setting of the server.
            Value::Text(text) if !text.contains(['\\', '\0']) => {
                let quoted = text.replace('\'', "''");
                self.push("'").push(&quoted).push("'")
            }
            other => {
                let ty = other.sql_type().name();
                self.fail(Error::invalid(format!("the condition of an index cannot hold this {ty}: write a fragment")));
                self
            }
        }
    }

    /// Writes the mark of a parameter that others with the same `id` stand for too: its value is taken once.
    pub(crate) fn bind_shared(&mut self, id: usize, value: Value<'q>, context: BindContext) -> &mut Self {
        if !self.dialect.numbered_placeholders() {
            return self.bind(value, context);
        }
        let Some(&(_, n)) = self.shared.iter().find(|(known, _)| *known == id) else {
            self.shared.push((id, self.binds.len() + 1));
            return self.bind(value, context);
        };
        match &mut self.out {
            Out::Hash(hasher) => {
                hasher.write(&[SHARED_MARK]);
                hasher.write(&n.to_ne_bytes());
            }
            Out::Text(_) => self.dialect.placeholder(self, n),
        }
        self
    }

    /// Says what the statement does; the outermost verb knows.
    pub fn effect(&mut self, effect: Effect) -> &mut Self {
        self.effect = effect;
        self
    }

    /// The schema or database of tables that name none.
    pub(crate) fn default_prefix(&mut self, prefix: Option<&'q str>) {
        self.prefix = prefix;
    }

    pub(crate) fn call_prefix(&self) -> Option<&'q str> {
        self.prefix
    }

    /// Notes that there is SQL in the statement whose effect nobody knows.
    pub(crate) fn fragment(&mut self) {
        self.has_fragment = true;
    }

    /// Notes that the query cannot be rendered. The first problem is what the call returns.
    pub fn fail(&mut self, problem: Error) {
        self.problem.get_or_insert(problem);
    }

    /// Refuses a feature that the server does not have.
    pub fn unsupported(&mut self, feature: &str) {
        let backend = self.capabilities.server.clone();
        self.fail(Error::unsupported(feature, backend));
    }
}

#[cfg(test)]
mod tests;
