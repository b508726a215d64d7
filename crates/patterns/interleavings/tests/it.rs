//! Every model in every order.

use interleavings::models;

/// A test for each model.
macro_rules! in_every_order {
    ($($model:ident)*) => {
        $(
            #[test]
            fn $model() {
                loom::model(models::$model);
            }
        )*
    };
}

in_every_order! {
    one_place_is_never_taken_twice_nor_lost
    a_place_given_to_one_who_goes_away_comes_back
    a_place_that_is_added_is_seen_by_who_comes_to_wait
    two_failures_open_a_breaker_once
    one_trial_is_never_given_twice
    the_permit_of_a_dropped_trial_is_not_lost
    a_full_window_of_calls_counts_what_is_in_it
    a_window_of_calls_loses_nothing
    a_success_that_is_not_written_leaves_the_window_whole
    an_old_call_spoils_no_window
    a_window_of_time_loses_nothing
    one_token_is_not_spent_twice
    a_deposit_is_not_lost
    one_turn_is_not_given_twice
    no_more_calls_are_let_in_than_there_is_room_for
}
