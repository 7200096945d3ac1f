//! The statistics against R and scipy. The folder `statistics/` contains the scripts and their output.

use bench_suite::statistics::{
    RankTest, holm, proportion_interval, rank_sum, signed_rank, student_t_interval,
};
use serde_json::Value;

fn vectors(text: &str, list: &str) -> Vec<Value> {
    let value: Value = serde_json::from_str(text).unwrap();
    let vectors = value[list].as_array().unwrap().clone();
    assert!(!vectors.is_empty(), "{list}");
    vectors
}

fn r(list: &str) -> Vec<Value> {
    vectors(include_str!("statistics/vectors-r.json"), list)
}

fn scipy(list: &str) -> Vec<Value> {
    vectors(include_str!("statistics/vectors-scipy.json"), list)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

#[track_caller]
fn assert_near(ours: f64, theirs: f64, vector: &Value) {
    assert!(
        (ours - theirs).abs() < 1e-9,
        "{ours}, expected {theirs}: {vector}"
    );
}

#[track_caller]
fn assert_test(test: &RankTest, vector: &Value) {
    assert_near(test.p_value(0.0), number(&vector["p"]), vector);
    assert_near(test.estimate(), number(&vector["estimate"]), vector);
    assert_interval(test.interval(number(&vector["level"])), vector);
}

#[track_caller]
fn assert_interval(interval: Option<[f64; 2]>, vector: &Value) {
    let theirs = numbers(&vector["interval"]);
    let ours = interval.unwrap_or_else(|| panic!("no interval: {vector}"));
    assert_near(ours[0], theirs[0], vector);
    assert_near(ours[1], theirs[1], vector);
}

#[test]
fn the_signed_rank_test_is_that_of_r() {
    for vector in r("paired") {
        let test = signed_rank(&numbers(&vector["values"])).unwrap();
        assert_test(&test, &vector);
    }
}

#[test]
fn the_rank_sum_test_is_that_of_r() {
    for vector in r("unpaired") {
        let test = rank_sum(&numbers(&vector["values"]), &numbers(&vector["others"])).unwrap();
        assert_test(&test, &vector);
    }
}

#[test]
fn the_interval_is_what_trying_every_sign_flip_finds() {
    for vector in scipy("brute_force") {
        let test = signed_rank(&numbers(&vector["values"])).unwrap();
        assert_interval(test.interval(number(&vector["level"])), &vector);
    }
}

#[test]
fn both_one_sided_tests_are_those_of_scipy() {
    let paired = scipy("tost_paired")
        .into_iter()
        .map(|vector| (signed_rank(&numbers(&vector["values"])), vector));
    let unpaired = scipy("tost_unpaired").into_iter().map(|vector| {
        let test = rank_sum(&numbers(&vector["values"]), &numbers(&vector["others"]));
        (test, vector)
    });
    for (test, vector) in paired.chain(unpaired) {
        let test = test.unwrap();
        let margin = number(&vector["margin"]);
        assert_near(test.p_above(margin), number(&vector["p_above"]), &vector);
        assert_near(test.p_below(-margin), number(&vector["p_below"]), &vector);
    }
}

#[test]
fn student_s_interval_is_that_of_r() {
    for vector in r("student") {
        let level = number(&vector["level"]);
        assert_interval(
            student_t_interval(&numbers(&vector["values"]), level),
            &vector,
        );
    }
}

#[test]
fn holm_rejects_what_r_adjusts_to_the_level_or_less() {
    for vector in r("holm") {
        let p_values = numbers(&vector["p"]);
        for level in [0.01, 0.025, 0.0499, 0.0501, 0.2] {
            let ours: Vec<bool> = holm(&p_values, level, 0)
                .into_iter()
                .map(|(rejected, _)| rejected)
                .collect();
            let theirs: Vec<bool> = numbers(&vector["adjusted"])
                .into_iter()
                .map(|adjusted| adjusted <= level)
                .collect();
            assert_eq!(ours, theirs, "{level}: {vector}");
        }
    }
}

#[test]
fn shares_have_the_interval_of_r() {
    for vector in r("shares") {
        let count = |name: &str| vector[name].as_u64().unwrap();
        assert_interval(
            proportion_interval(count("happened"), count("all")),
            &vector,
        );
    }
}
