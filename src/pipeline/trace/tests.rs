use super::*;
use crate::config::Otlp;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
const BROKEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0";

fn settings(propagate: Option<Propagate>, create: bool, sample: Option<&str>) -> Trace {
    let otlp = sample.map(|sample| Otlp {
        endpoint: "http://collector:4318".parse().unwrap(),
        headers: Vec::new(),
        sample: sample.parse().unwrap(),
        service: "sidegate".to_owned(),
    });
    Trace { propagate, create, otlp }
}

/// What becomes of a head with these fields: what goes up, in order, and what is known of the trace.
fn passed(fields: &[(&'static str, &'static str)], settings: &Trace) -> (Vec<(String, String)>, Traced) {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_static(value));
    }
    let traced = Traced::of(&headers, Present::read(&headers), settings);
    traced.apply(&mut headers);
    let up = headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned())).collect();
    (up, traced)
}

fn names(up: &[(String, String)]) -> Vec<&str> {
    up.iter().map(|(name, _)| name.as_str()).collect()
}

const TRACED: &[(&str, &str)] =
    &[("a", "1"), ("traceparent", PARENT), ("b", "1"), ("tracestate", "v=1"), ("c", "1"), ("tracestate", "w=2")];

#[test]
fn by_default_everything_goes_up_as_it_came_and_the_trace_is_known() {
    for fields in [TRACED, &[("traceparent", BROKEN), ("tracestate", "x")], &[("tracestate", "x")], &[("traceparent", PARENT); 2]] {
        let mut came = HeaderMap::new();
        for (name, value) in fields {
            came.append(*name, HeaderValue::from_static(value));
        }
        let (up, traced) = passed(fields, &settings(None, false, None));
        assert_eq!(up.len(), fields.len());
        assert!(came.iter().zip(&up).all(|((name, value), (up, came))| name.as_str() == up && value == came.as_str()));
        assert_eq!((traced.trace().is_some(), traced.span()), (fields.len() == TRACED.len(), None), "{fields:?}");
    }
    assert_eq!(passed(&[("a", "1")], &settings(None, false, None)), (vec![("a".to_owned(), "1".to_owned())], Traced::default()));
}

#[test]
fn continued_it_is_the_same_trace_with_our_span_as_the_parent() {
    let (up, traced) = passed(TRACED, &settings(Some(Propagate::Continue), false, None));
    assert_eq!(names(&up), ["a", "traceparent", "b", "tracestate", "tracestate", "c"]);
    let sent = TraceContext::parse(up[1].1.as_bytes()).unwrap();
    assert_eq!((Some(sent.trace), Some(sent.span)), (traced.trace(), traced.span()));
    assert_eq!(sent.trace.hex().as_str(), &PARENT[3..35]);
    assert_ne!(sent.span.hex().as_str(), &PARENT[36..52]);
    assert!(sent.is_sampled());
    // Nothing is recorded where nothing is exported.
    assert_eq!(traced.exported(), None);
}

#[test]
fn continued_one_that_breaks_the_rules_becomes_another_without_its_state() {
    for fields in
        [&[("traceparent", BROKEN), ("tracestate", "v=1"), ("b", "1")][..], &[("traceparent", PARENT), ("traceparent", PARENT), ("b", "1")]]
    {
        let (up, traced) = passed(fields, &settings(Some(Propagate::Continue), false, None));
        assert_eq!(names(&up), ["traceparent", "b"]);
        let sent = TraceContext::parse(up[0].1.as_bytes()).unwrap();
        assert_ne!(sent.trace.hex().as_str(), &PARENT[3..35]);
        assert_eq!((Some(sent.trace), sent.is_sampled()), (traced.trace(), false));
    }
}

#[test]
fn none_is_made_unless_it_is_asked_for() {
    let (up, traced) = passed(&[("a", "1")], &settings(Some(Propagate::Continue), false, None));
    assert_eq!((names(&up), traced.trace()), (vec!["a"], None));
    for propagate in [None, Some(Propagate::Pass), Some(Propagate::Continue)] {
        let (up, traced) = passed(&[("a", "1")], &settings(propagate, true, None));
        assert_eq!(names(&up), ["a", "traceparent"]);
        assert_eq!(TraceContext::parse(up[1].1.as_bytes()).map(|sent| sent.trace), traced.trace());
    }
    // One that is there is not made anew.
    let (up, _) = passed(TRACED, &settings(None, true, None));
    assert_eq!(up[1].1, PARENT);
}

#[test]
fn dropped_the_provider_sees_neither_field_and_the_trace_is_known_still() {
    let (up, traced) = passed(TRACED, &settings(Some(Propagate::Drop), false, None));
    assert_eq!((names(&up), traced.trace().unwrap().hex().as_str()), (vec!["a", "b", "c"], &PARENT[3..35]));
    let (up, traced) = passed(&[("a", "1")], &settings(Some(Propagate::Drop), true, None));
    assert_eq!((names(&up), traced.trace().is_some()), (vec!["a"], true));
}

#[test]
fn what_is_exported_is_the_callers_choice_and_else_the_sample() {
    let (up, traced) = passed(TRACED, &settings(None, false, Some("0%")));
    let (context, parent) = traced.exported().unwrap();
    assert_eq!(parent.unwrap().hex().as_str(), &PARENT[36..52]);
    assert_eq!(up[1].1.as_bytes(), context.to_text());
    assert_eq!(passed(&[("traceparent", UNSAMPLED)], &settings(None, false, Some("100%"))).1.exported(), None);
    assert_eq!(passed(&[], &settings(None, true, Some("0%"))).1.exported(), None);
    // A request that is told of has a trace, and nothing goes up that was not sent.
    let (up, traced) = passed(&[("a", "1")], &settings(None, false, Some("100%")));
    assert_eq!((names(&up), traced.exported().map(|(_, parent)| parent)), (vec!["a"], Some(None)));
}

#[test]
fn a_sample_is_about_as_large_as_it_is_meant_to_be() {
    let settings = settings(None, false, Some("25%"));
    let exported = (0..4_000).filter(|_| passed(&[], &settings).1.exported().is_some()).count();
    // Eight standard deviations.
    assert!((780..1_220).contains(&exported), "{exported}");
}
