//! The mark on fields that depend on who asks.
//!
//! An operation that selects none of them is executed with no viewer in its context, once for all who share it. A mark
//! that was forgotten is an error there, never a leak.
#![allow(
    missing_docs,
    reason = "the directive's macro makes an undocumented struct"
)]

use async_graphql::TypeDirective;

/// The field depends on who asks: an operation that selects it is executed for each viewer, not once for all.
#[TypeDirective(name = "perViewer", location = "FieldDefinition")]
pub(super) fn per_viewer() {}
