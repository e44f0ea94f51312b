//! What filters mean, by tables.

use rstest::rstest;

use super::*;

const PAYLOAD: &str = r#"{
    "client": {"approval_status": "approved", "name": null, "tags": ["a", "b"]},
    "score": 0.50, "external_id": "order-9281", "country": "AU", "big": 12345678901234567890
}"#;

fn failing(filter: &str, payload: &str) -> Option<String> {
    let filter = Filter::compile(filter).expect("usable");
    let payload = Value::parse(payload).expect("valid");
    filter.failing_place(&payload)
}

#[rstest]
#[case("{}")]
#[case(
    r#"{"client":{"approval_status":"approved"},"score":{"$gte":0.5},"external_id":{"$exist":true},
        "$or":[{"country":"TH"},{"country":{"$in":["NZ","AU"]}}]}"#
)]
#[case(r#"{"client":{"name":null}}"#)]
#[case(r#"{"client":{"tags":["a","b"]}}"#)]
#[case(r#"{"client":{"$eq":{"tags":["a","b"],"name":null,"approval_status":"approved"}}}"#)]
#[case(r#"{"missing":{"$exist":false}}"#)]
#[case(r#"{"missing":{"deeper":{"$exist":false}}}"#)]
#[case(r#"{"missing":{"$neq":1}}"#)]
#[case(r#"{"missing":{"$nin":[null]}}"#)]
#[case(r#"{"score":{"$gt":5e-1000000,"$lt":5e1000000}}"#)]
#[case(r#"{"score":{"$or":[{"$lt":0},{"$gte":0.5}]}}"#)]
#[case(r#"{"score":{"$or":[1,0.5]}}"#)]
#[case(r#"{"big":{"$gt":12345678901234567889,"$lt":12345678901234567891}}"#)]
#[case(r#"{"external_id":{"$startsWith":"order-","$endsWith":"81"}}"#)]
#[case(r#"{"country":{"$gt":"AT","$lte":"AU"}}"#)]
#[case(r#"{"$not":{"country":"TH"}}"#)]
#[case(r#"{"country":{"$not":{"$in":["TH"]}}}"#)]
#[case(r#"{"$and":[{"country":"AU"},{"score":0.5}]}"#)]
fn passes(#[case] filter: &str) {
    assert_eq!(failing(filter, PAYLOAD), None);
}

#[rstest]
#[case(r#"{"client":{"approval_status":"denied"}}"#, "client.approval_status")]
#[case(r#"{"score":{"$gte":0.5,"$lt":0.5}}"#, "score.$lt")]
#[case(r#"{"score":"0.5"}"#, "score")]
#[case(r#"{"score":{"$gt":"0"}}"#, "score.$gt")]
#[case(r#"{"missing":null}"#, "missing")]
#[case(r#"{"client":{"name":{"$exist":false}}}"#, "client.name.$exist")]
#[case(r#"{"client":{"tags":"a"}}"#, "client.tags")]
#[case(r#"{"client":{"tags":["b","a"]}}"#, "client.tags")]
#[case(r#"{"country":{"$in":["TH","NZ"]}}"#, "country.$in")]
#[case(r#"{"country":{"$nin":["AU"]}}"#, "country.$nin")]
#[case(r#"{"score":{"$startsWith":"0"}}"#, "score.$startsWith")]
#[case(r#"{"country":{"name":"AU"}}"#, "country.name")]
#[case(r#"{"$or":[{"country":"TH"},{"score":{"$lt":0}}]}"#, "$or")]
#[case(r#"{"$not":{"country":"AU"}}"#, "$not")]
#[case(r#"{"$and":[{"country":"AU"},{"score":1}]}"#, "$and[1].score")]
#[case(r#"{"missing":{"$gt":0}}"#, "missing.$gt")]
fn turns_away_and_says_where(#[case] filter: &str, #[case] place: &str) {
    assert_eq!(failing(filter, PAYLOAD).as_deref(), Some(place));
}

#[rstest]
#[case(r#"{"a":{"$near":1}}"#, "a.$near")]
#[case(r#"{"a":{"$gt":true}}"#, "a.$gt")]
#[case(r#"{"a":{"$in":1}}"#, "a.$in")]
#[case(r#"{"a":{"$exist":1}}"#, "a.$exist")]
#[case(r#"{"a":{"$startsWith":1}}"#, "a.$startsWith")]
#[case(r#"{"a":{"$gt":1,"b":2}}"#, "a")]
#[case(r#"{"$or":[]}"#, "$or")]
#[case(r#"{"$or":[1]}"#, "$or[0]")]
#[case(r#"{"$and":[{"$or":[{"a":1},1]}]}"#, "$and[0].$or[1]")]
#[case(r#"{"$not":5}"#, "$not")]
#[case(r#"{"$not":{"$eq":1}}"#, "$not")]
#[case(r#"{"$and":[{"$eq":1}]}"#, "$and[0]")]
#[case(r#"{"$or":{"a":1}}"#, "$or")]
#[case(r#"{"$eq":1}"#, "the filter")]
#[case(r#"{"a":1,"a":2}"#, "the filter")]
#[case("[]", "the filter")]
#[case("{", "the filter")]
fn what_cannot_be_used_is_refused_by_place(#[case] filter: &str, #[case] place: &str) {
    assert_eq!(Filter::compile(filter).expect_err("unusable").place, place);
}

#[test]
fn size_and_depth_are_limited() {
    let nested = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    assert!(Filter::compile(&nested(DEPTH_LIMIT)).is_ok());
    assert!(Filter::compile(&nested(DEPTH_LIMIT + 1)).is_err());
    let list = |depth: usize| format!(r#"{{"a":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert!(Filter::compile(&list(DEPTH_LIMIT - 1)).is_ok());
    assert!(Filter::compile(&list(DEPTH_LIMIT)).is_err());
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(SIZE_LIMIT));
    assert!(Filter::compile(&long).is_err());
}

/// A thousand alternatives over a payload of a megabyte: were it their product, this would not end.
#[test]
fn takes_time_in_proportion_to_filter_and_payload() {
    let digits = "9".repeat(300_000);
    let members: Vec<String> = (0..20_000).map(|n| format!(r#""m{n}":{n}"#)).collect();
    let payload = format!(r#"{{"a":{digits},{}}}"#, members.join(","));
    let value = Value::parse(&payload).expect("valid");
    let branches: Vec<String> = (0..1000).map(|n| format!(r#"{{"a":{n}}}"#)).collect();
    let filter = Filter::compile(&format!(r#"{{"$or":[{}]}}"#, branches.join(","))).expect("usable");
    for _ in 0..1000 {
        assert_eq!(filter.failing_place(&value).as_deref(), Some("$or"));
    }
}

proptest::proptest! {
    #[test]
    fn nothing_panics(
        filter in "[\\[\\]{}\",:0-9e.\\- a$orntguqis]{0,60}",
        payload in "\\{\"[a-c]\":(1|\"x\"|null|\\[1\\]|\\{\"a\":2\\})\\}",
    ) {
        if let Ok(filter) = Filter::compile(&filter) {
            let payload = Value::parse(&payload).expect("valid");
            proptest::prop_assert_eq!(filter.failing_place(&payload).is_none(), filter.passes(&payload));
        }
    }
}

#[rstest]
#[case(r#"{"a":{"$in":[1,"1",null,true,[1,2],{"x":1,"y":[null]}]}}"#, &["1.0", "\"1\"", "null", "true", "[1,2e0]", r#"{"y":[null],"x":1}"#], &["2", "\"2\"", "false", "[2,1]", "[1]", "{}"])]
#[case(r#"{"a":{"$in":[3,1,2,1,-7,1e400]}}"#, &["-7", "1", "2.00", "3", "10e399"], &["0", "-1", "1e401"])]
#[case(r#"{"a":{"$in":["b","a","c","a",""]}}"#, &["\"\"", "\"a\"", "\"c\""], &["\"d\"", "1"])]
#[case(r#"{"a":{"$in":[]}}"#, &[], &["1", "null"])]
fn a_list_is_searched_as_one_by_one(#[case] filter: &str, #[case] inside: &[&str], #[case] outside: &[&str]) {
    let without = filter.replace("$in", "$nin");
    for (values, expected) in [(inside, true), (outside, false)] {
        for value in values {
            let payload = format!(r#"{{"a":{value}}}"#);
            assert_eq!(failing(filter, &payload).is_none(), expected, "{value}");
            assert_eq!(failing(&without, &payload).is_some(), expected, "{value}");
        }
    }
}

#[rstest]
#[case("{}", 0)]
#[case(r#"{"a":1,"b":{"$gt":2,"$lt":3}}"#, 3)]
#[case(r#"{"a":{"$in":[1,"x",[1,2,3],{}]}}"#, 6)]
#[case(r#"{"$or":[{"a":{"$exist":true}},{"$not":{"b":{"$startsWith":"x"}}}]}"#, 2)]
fn literals_are_counted(#[case] filter: &str, #[case] count: usize) {
    assert_eq!(Filter::compile(filter).expect("usable").literal_count(), count);
}
