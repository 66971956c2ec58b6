//! How it is *asked for*: the schema, its types and resolvers.
//!
//! Resolvers check input, ask the store or chat, and show what comes back. They know no rules of chat; what the viewer
//! may read is decided where a room or message is looked up, so that holding a [`Room`] *is* the permission to read it.

use async_graphql::{SDLExportOptions, SchemaBuilder};

mod answer;
mod asking;
mod changes;
mod connection;
mod error;
mod event;
pub mod executor;

mod gather;
mod input;
mod loaders;
mod member;
mod message;
mod mutation;
mod node;
mod page;
mod payload;
mod per_viewer;
mod presence;
mod query;
mod reaction;
mod reauthenticate;
mod room;
mod scalars;
mod signal;
mod subscription;
#[cfg(test)]
mod tests;
mod user;

pub use asking::{Deps, HeadAtStart, equip};
pub use connection::is_connection;
pub use error::{Told, extensions, told};
pub use event::Event;
pub use loaders::Loaders;
pub use message::Message;
pub use mutation::Mutation;
pub use query::Query;
pub use room::Room;
pub use scalars::Cursor;
pub use signal::Signal;
pub use subscription::Subscription;

/// The schema.
pub type Schema = async_graphql::Schema<Query, Mutation, Subscription>;

/// The schema, ready to execute requests. Give each the data of [`equip`].
pub fn schema(deps: Deps) -> Schema {
    build().data(deps).finish()
}

/// The schema as text, sorted; `schema.graphql` holds it.
pub fn sdl() -> String {
    let options = SDLExportOptions::new()
        .sorted_fields()
        .sorted_arguments()
        .sorted_enum_items()
        .include_specified_by()
        .prefer_single_line_descriptions()
        .use_space_ident();
    build().finish().sdl_with_options(options)
}

/// No extensions: any one takes every field off the library's fast path. Limits are the guard's, before execution.
fn build() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query, Mutation, Subscription)
        .register_output_type::<event::RoomEventIsEvent>()
        .disable_suggestions()
}
