//! How much a document may ask for.

/// Limits on a document, each counted before anything is executed.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Characters of the text. The standard introspection query has about 1,800.
    pub chars: usize,
    /// Lexical tokens.
    pub tokens: usize,
    /// Brackets of any kind within one another: the parser recurses on them, so this keeps its stack small.
    pub nesting: usize,
    /// Fields within fields, after fragments are spread out; what lies under `__schema` and `__type` is not counted (the
    /// standard introspection query is 15 deep).
    pub depth: usize,
    /// Aliases in the document.
    pub aliases: usize,
    /// Characters of an alias, which an answer repeats for each thing that it is asked of.
    pub alias_chars: usize,
    /// Directives in the document.
    pub directives: usize,
    /// Fields after fragments are spread out.
    pub selections: usize,
    /// Lists within lists under `__schema` and `__type`. Each multiplies the answer by the size of the schema.
    pub introspection_lists: usize,
    /// Values that introspection shows, roughly: the sum over paths of how many there usually are. It needs no token.
    pub introspected: usize,
    /// The sum over paths of multiplied page sizes.
    pub nodes: u64,
    /// The page size of a connection that is asked for without one.
    pub page: u64,
    /// The most that a page holds; more is the field's own to refuse.
    pub page_max: u64,
    /// How many users of a reaction are given without `first`.
    pub users_page: u64,
    /// The page size of `changes` without `first`.
    pub changes_page: u64,
    /// The most that `changes` gives.
    pub changes_page_max: u64,
    /// How many documents are remembered.
    pub cached: usize,
    /// How much memory remembered documents may take, roughly, in bytes.
    pub cached_bytes: usize,
    /// How much text of automatic persisted queries is remembered, in bytes.
    pub persisted_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            chars: 15_000,
            tokens: 1_000,
            nesting: 50,
            depth: 10,
            aliases: 15,
            alias_chars: 100,
            directives: 50,
            selections: 500,
            introspection_lists: 2,
            introspected: 300_000,
            nodes: 10_000,
            page: 50,
            page_max: 100,
            users_page: 20,
            changes_page: 200,
            changes_page_max: 500,
            cached: 1_000,
            cached_bytes: 16 * 1024 * 1024,
            persisted_bytes: 4 * 1024 * 1024,
        }
    }
}
