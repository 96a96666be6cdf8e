use proptest::prelude::*;

use super::{
    learned::{FEWEST, RATIOS, WINDOW},
    *,
};

fn ask(model: &str) -> Ask {
    Ask { model: Some(model.into()), ..Ask::default() }
}

fn text(bytes: u64) -> Prompt {
    Prompt::Read { text: bytes, attachments: 0 }
}

fn usage(input: u64, output: u64) -> Usage {
    Usage { input: Some(input), output: Some(output), ..Usage::default() }
}

/// One reply of a client, from its estimate to its end.
fn reply(estimator: &Estimator, bytes: u64, (input, output): (u64, u64), who: u16) {
    let ask = ask("m");
    let estimate = estimator.estimate(&ask, text(bytes));
    estimator.learn(&ask, &estimate, usage(input, output), who);
}

#[test]
fn a_model_that_nobody_knows_is_taken_for_any_other() {
    let estimate = Estimator::default().estimate(&ask("m"), text(3_600));
    assert_eq!((estimate.prompt, estimate.output, estimate.total()), (1_000, COLD_OUTPUT, 1_000 + COLD_OUTPUT));
    let estimate = Estimator::default().estimate(&Ask::default(), Prompt::Unread);
    assert_eq!((estimate.prompt, estimate.output), (COLD_PROMPT, COLD_OUTPUT));
    let estimate = Estimator::default().estimate(&ask("m"), Prompt::Read { text: 36, attachments: 2 });
    assert_eq!(estimate.prompt, 2 * ATTACHMENT + 10);
}

#[test]
fn a_reply_is_never_expected_to_be_longer_than_it_may_be() {
    let estimator = Estimator::default();
    let output = |most, choices| estimator.estimate(&Ask { most_output: most, choices, ..ask("m") }, text(1)).output;
    assert_eq!(output(Some(16), None), 16);
    assert_eq!(output(Some(16), Some(3)), 48);
    assert_eq!(output(Some(16), Some(0)), 16);
    assert_eq!(output(Some(u64::MAX), Some(u64::MAX)), MOST_CHOICES * COLD_OUTPUT);
    for _ in 0..WINDOW {
        reply(&estimator, 36, (10, u64::MAX), 1);
    }
    assert_eq!(output(None, None), MOST_OUTPUT);
    assert_eq!(output(Some(40), Some(2)), 80);
}

#[test]
fn the_lengths_of_a_models_replies_are_learned() {
    let estimator = Estimator::default();
    for n in 0..FEWEST as u64 - 1 {
        reply(&estimator, 36, (10, n), 1);
        assert_eq!(estimator.estimate(&ask("m"), text(36)).output, COLD_OUTPUT, "too few to say");
    }
    for n in 0..1_000 {
        reply(&estimator, 36, (10, n % 100), 1);
    }
    assert_eq!(estimator.estimate(&ask("m"), text(36)).output, 89, "nine of ten are no longer");
    assert_eq!(estimator.estimate(&ask("another"), text(36)).output, COLD_OUTPUT);
    let ask = Ask { choices: Some(4), ..ask("m") };
    for _ in 0..WINDOW {
        let estimate = estimator.estimate(&ask, text(36));
        estimator.learn(&ask, &estimate, usage(10, 400), 1);
    }
    assert_eq!(estimator.estimate(&ask, text(36)).output, 400, "of four choices, each had a fourth");
}

#[test]
fn what_did_not_tell_its_prompt_teaches_nothing() {
    let estimator = Estimator::default();
    let (ask, unknown) = (ask("m"), Usage { output: Some(5), ..Usage::default() });
    estimator.learn(&ask, &estimator.estimate(&ask, text(36)), unknown, 1);
    assert_eq!(estimator.models(), 0);
    let long = Ask { model: Some("m".repeat(LONGEST_NAME + 1).into()), ..Ask::default() };
    estimator.learn(&long, &estimator.estimate(&long, text(36)), usage(1, 1), 1);
    assert_eq!(estimator.models(), 0);
}

#[test]
fn any_number_of_models_takes_no_more_room_and_those_in_use_stay() {
    let estimator = Estimator::default();
    for n in 0..5_000 {
        for ask in [ask("m"), ask(&format!("model-{n}"))] {
            let estimate = estimator.estimate(&ask, text(100));
            estimator.learn(&ask, &estimate, usage(10, 7), 1);
        }
    }
    assert!(estimator.models() <= MOST_MODELS, "{}", estimator.models());
    assert_eq!(estimator.estimate(&ask("m"), text(36)).output, 7);
}

#[test]
fn pictures_do_not_teach_how_long_words_are() {
    let estimator = Estimator::default();
    for _ in 0..1_000 {
        // A megabyte of base64 that no reader has told apart.
        reply(&estimator, 1 << 20, (1_100, 50), 1);
        let ask = ask("m");
        let estimate = estimator.estimate(&ask, Prompt::Read { text: 6_000, attachments: 3 });
        estimator.learn(&ask, &estimate, usage(4_000, 50), 1);
    }
    assert_eq!(estimator.estimate(&ask("m"), text(3_600)).prompt, 1_000);
}

#[test]
fn a_few_who_lie_do_not_carry_the_many_with_them() {
    let estimator = Estimator::default();
    for n in 0..4_000_u64 {
        // Nine who say what is so: 4 bytes for a token, replies of about 100. The tenth sends all that counts, at the worst.
        let honest = n % 10 != 0;
        reply(&estimator, 4_000, if honest { (1_000, 95 + n % 10) } else { (200, 100_000) }, (n % 10) as u16);
    }
    let estimate = estimator.estimate(&ask("m"), text(4_000));
    assert!((800..=1_200).contains(&estimate.prompt), "{estimate:?}");
    assert!(estimate.output <= 105, "{estimate:?}");
}

#[test]
fn one_who_floods_has_no_more_than_a_share_of_the_lengths() {
    let estimator = Estimator::default();
    for who in 1..=19 {
        for _ in 0..WINDOW {
            reply(&estimator, 4_000, (1_000, 100), who);
        }
    }
    for _ in 0..5_000 {
        reply(&estimator, 4_000, (1_000, 100_000), 0);
    }
    assert_eq!(estimator.estimate(&ask("m"), text(4_000)).output, 100);
}

proptest! {
    #[test]
    fn whatever_is_told_estimates_stay_within_their_bounds(
        told in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>(), any::<u16>()), 0..300),
        (bytes, most, choices) in (any::<u64>(), any::<Option<u64>>(), any::<Option<u64>>()),
    ) {
        let estimator = Estimator::default();
        for (bytes, input, output, who) in told {
            reply(&estimator, bytes, (input, output), who);
        }
        let estimate = estimator.estimate(&Ask { most_output: most, choices, ..ask("m") }, text(bytes));
        prop_assert!(estimate.prompt <= MOST_PROMPT);
        prop_assert!(estimate.prompt as f64 <= (bytes as f64 / RATIOS.start()).ceil());
        prop_assert!(estimate.prompt as f64 >= (bytes as f64 / RATIOS.end()).floor().min(MOST_PROMPT as f64));
        prop_assert!(estimate.output <= MOST_CHOICES * MOST_OUTPUT);
        prop_assert!(most.is_none_or(|most| estimate.output <= most.saturating_mul(choices.unwrap_or(1).max(1))));
    }

    #[test]
    fn it_comes_to_what_is_so(ratio in 1.6..19.0_f64, noise in prop::collection::vec(0.8..1.25_f64, 300..400)) {
        let estimator = Estimator::default();
        for noise in noise {
            reply(&estimator, 100_000, ((100_000.0 / (ratio * noise).clamp(1.55, 19.9)) as u64, 10), 1);
        }
        let found = 1e6 / estimator.estimate(&ask("m"), text(1_000_000)).prompt as f64;
        prop_assert!((0.8..1.25).contains(&(found / ratio)), "{found} for {ratio}");
    }
}
