//! What every store must do, as tests. A store takes them by saying how a fresh one is made:
//!
//! ```ignore
//! crate::store::contract::contract!(Bench);
//! ```

use async_trait::async_trait;

use super::Store;

pub(crate) mod lookups;
pub(crate) mod model;
pub(crate) mod pages;
pub(crate) mod pen;
pub(crate) mod reactions;
pub(crate) mod reads;
pub(crate) mod replays;
pub(crate) mod unread;
pub(crate) mod weights;
pub(crate) mod writing;

/// Stores to test.
#[async_trait]
pub(crate) trait Bench: Send + Sync + Sized {
    /// The store.
    type Store: Store;

    /// A fresh, empty database; `lead` has not been called.
    async fn fresh() -> Self;

    /// The store on it.
    fn store(&self) -> &Self::Store;

    /// Closes the store and opens the same database again.
    async fn reopened(self) -> Self;
}

/// Makes a test of each sentence of the contract.
macro_rules! contract {
    ($bench:ty) => {
        $crate::store::contract::contract!($bench, writing,
            a_new_database_has_the_lobby,
            what_was_committed_is_there_after_reopening,
            what_was_rolled_back_is_not_there,
            a_commit_that_fails_leaves_nothing_behind,
            a_batch_that_would_leave_a_hole_is_refused,
            a_batch_that_was_begun_and_dropped_does_not_stand_in_the_way,
            facts_say_how_everything_asked_for_stands,
            facts_bring_the_room_and_the_viewer_of_a_message,
            every_kind_of_thing_takes_its_id,
            a_message_sent_and_edited_in_one_batch_is_kept_as_edited,
            a_body_comes_back_byte_for_byte,
            the_head_is_known_once_a_commit_returns,
            pruning_keeps_the_head,
            retention_stops_at_the_first_event_that_is_young_enough,
            each_start_begins_an_epoch_and_cursors_survive_it,
            the_fingerprint_key_is_made_once,
        );
        $crate::store::contract::contract!($bench, lookups,
            rooms_come_with_the_viewers_role,
            deleted_rooms_and_past_members_are_not_found,
            a_direct_room_is_one_and_what_a_room_was_made_with_is_kept,
            a_user_is_seen_by_those_who_share_a_room_or_in_a_public_one,
            a_profile_is_read_whoever_asks,
            when_someone_was_last_seen_is_for_those_who_share_a_room,
            a_reply_comes_with_what_it_replies_to,
            a_deleted_room_leaves_no_message,
        );
        $crate::store::contract::contract!($bench, pages,
            a_page_of_messages_from_either_end,
            pages_of_many_rooms_are_read_at_once,
            a_page_of_members_goes_by_joining,
            rooms_are_listed_by_activity,
            both_bounds_may_be_given,
            the_number_of_statements_does_not_grow_with_the_page,
        );
        $crate::store::contract::contract!($bench, reads,
            a_mark_is_kept,
            marks_of_many_are_written_at_once,
            a_mark_outlives_what_befalls_the_member,
            a_batch_that_only_marks_is_committed,
        );
        $crate::store::contract::contract!($bench, reactions,
            a_message_comes_with_its_reactions_by_first_use,
            those_who_react_are_told_first_to_react_first,
            what_a_viewer_reacts_with_is_told_for_many_messages_at_once,
            facts_say_which_reactions_are_there,
            reactions_go_with_their_message_and_their_room,
        );
        $crate::store::contract::contract!($bench, unread,
            what_others_said_after_the_mark_is_unread,
            unread_counts_agree_with_the_naive_count,
        );
        $crate::store::contract::contract!($bench, replays,
            events_have_no_hole_even_where_a_room_is_gone,
            a_replay_shows_things_as_they_are_now,
            one_who_is_removed_gets_the_revocation_in_its_place,
            leaving_a_public_room_ends_it_only_among_ones_own,
            a_private_room_that_is_deleted_is_told_only_to_those_in_it,
            rooms_that_were_never_readable_come_first,
            a_page_that_is_full_ends_at_its_last_item,
            replays_agree_with_the_naive_walk,
        );
        $crate::store::contract::contract!($bench, weights,
            a_page_ends_where_more_would_weigh_too_much,
            a_room_weighs_once_in_a_page_whatever_happens_in_it,
        );
    };
    ($bench:ty, $part:ident, $($name:ident,)*) => {
        mod $part {
            use super::*;
            $(
                #[tokio::test]
                async fn $name() {
                    use $crate::store::contract::Bench as _;
                    let bench = <$bench>::fresh().await;
                    $crate::store::contract::$part::$name(bench).await;
                }
            )*
        }
    };
}
pub(crate) use contract;
