use proptest::prelude::*;

use super::*;

#[test]
fn only_known_operations_are_read() {
    let of = |format, method: &Method, rest| Endpoint::of(format, method, (rest, None)).model;
    assert_eq!(of(RequestFormat::Openai, &Method::POST, "/chat/completions"), ModelIn::Body);
    assert_eq!(of(RequestFormat::Openai, &Method::GET, "/chat/completions"), ModelIn::Nothing);
    assert_eq!(of(RequestFormat::Openai, &Method::POST, "/chat/completions/x"), ModelIn::Nothing);
    assert_eq!(of(RequestFormat::Openai, &Method::POST, "/files"), ModelIn::Nothing);
    assert_eq!(of(RequestFormat::Anthropic, &Method::POST, "/messages"), ModelIn::Body);
    assert_eq!(of(RequestFormat::Gemini, &Method::POST, "/models/gemini-pro:streamGenerateContent"), ModelIn::Target("gemini-pro".into()));
    assert_eq!(of(RequestFormat::Gemini, &Method::GET, "/models"), ModelIn::Nothing);
}

#[test]
fn only_operations_of_models_tell_what_they_used() {
    let tells = |format, method: &Method, rest| Endpoint::of(format, method, (rest, None)).tells_usage;
    for rest in ["/chat/completions", "/responses", "/embeddings", "/images/edits", "/audio/transcriptions"] {
        assert!(tells(RequestFormat::Openai, &Method::POST, rest), "{rest}");
        assert!(!tells(RequestFormat::Openai, &Method::GET, rest), "what was stored is told again: {rest}");
    }
    assert!(!tells(RequestFormat::Openai, &Method::GET, "/responses/resp_1"));
    assert!(!tells(RequestFormat::Openai, &Method::POST, "/files"));
    assert!(tells(RequestFormat::Anthropic, &Method::POST, "/messages"));
    assert!(!tells(RequestFormat::Anthropic, &Method::POST, "/messages/batches"));
    assert!(tells(RequestFormat::Gemini, &Method::POST, "/models/gemini-pro:generateContent"));
    assert!(!tells(RequestFormat::Gemini, &Method::GET, "/models/gemini-pro"));
}

#[test]
fn only_what_answers_its_body_and_does_nothing_else_is_a_question() {
    use RequestFormat::{Anthropic, Gemini, Openai};
    fn asked(format: RequestFormat, method: &Method, rest: &str) -> Option<Question> {
        Endpoint::of(format, method, (rest, None)).question
    }
    let known = [
        (Openai, "/chat/completions", Question::Chat),
        (Openai, "/completions", Question::Completion),
        (Openai, "/responses", Question::Response),
        (Openai, "/embeddings", Question::Embedding),
        (Openai, "/moderations", Question::Moderation),
        (Anthropic, "/messages", Question::Message),
        (Gemini, "/models/gemini-pro:generateContent", Question::Content),
        (Gemini, "/models/gemini-pro:streamGenerateContent", Question::Content),
        (Gemini, "/models/text-embedding:embedContent", Question::ContentEmbedding),
        (Gemini, "/models/text-embedding:batchEmbedContents", Question::ContentEmbedding),
    ];
    assert!(Question::ALL.iter().all(|question| known.iter().any(|(_, _, known)| known == question)));
    for (format, rest, question) in known {
        assert_eq!(asked(format, &Method::POST, rest), Some(question), "{rest}");
        assert_eq!(asked(format, &Method::POST, &format!("/{}/", rest.to_uppercase())), Some(question), "another spelling of {rest}");
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::HEAD] {
            assert_eq!(asked(format, &method, rest), None, "{method} {rest}");
        }
        for other in [Openai, Anthropic, Gemini].into_iter().filter(|other| *other != format) {
            assert_eq!(asked(other, &Method::POST, rest), None, "{other:?} has no {rest}");
        }
        for behind in ["/x", ":x", "x"] {
            assert_eq!(asked(format, &Method::POST, &format!("{rest}{behind}")), None, "{rest}{behind}");
        }
    }
    for rest in ["/responses/compact", "/responses/input_tokens", "/audio/speech", "/images/generations", "/files", "/batches", "", "/"] {
        assert_eq!(asked(Openai, &Method::POST, rest), None, "{rest}");
    }
    for rest in ["/messages/count_tokens", "/messages/batches", "/complete"] {
        assert_eq!(asked(Anthropic, &Method::POST, rest), None, "{rest}");
    }
    for rest in
        ["/models/a:countTokens", "/models/a:batchGenerateContent", "/models/a", "/models/:generateContent", "/models/a/b:generateContent"]
    {
        assert_eq!(asked(Gemini, &Method::POST, rest), None, "{rest}");
    }
}

#[test]
fn only_streams_of_completions_have_to_be_asked() {
    fn asks(format: RequestFormat, method: &Method, rest: &str, query: Option<&str>) -> bool {
        Endpoint::of(format, method, (rest, query)).tells_if_asked
    }
    assert!(asks(RequestFormat::Openai, &Method::POST, "/chat/completions", None));
    assert!(asks(RequestFormat::Openai, &Method::POST, "/Chat//completions/", Some("a=b")));
    assert!(asks(RequestFormat::Openai, &Method::POST, "/completions", None));
    assert!(!asks(RequestFormat::Openai, &Method::GET, "/chat/completions", None));
    assert!(!asks(RequestFormat::Openai, &Method::POST, "/responses", None));
    assert!(!asks(RequestFormat::Anthropic, &Method::POST, "/messages", None));
    for (version, knows) in
        [("2024-06-01", false), ("2024-08-01-preview", false), ("2024-09-01-preview", true), ("2025-01-01", true), ("preview", true)]
    {
        let query = format!("x=1&api-version={version}");
        assert_eq!(asks(RequestFormat::Openai, &Method::POST, "/chat/completions", Some(&query)), knows, "{version}");
    }
}

#[test]
fn another_spelling_of_an_operation_is_the_same_operation() {
    for rest in ["/chat/completions/", "//chat//completions", "/ch%61t/completions", "/chat%2Fcompletions", "/Chat/Completions"] {
        assert_eq!(Endpoint::of(RequestFormat::Openai, &Method::POST, (rest, None)).model, ModelIn::Body, "{rest}");
    }
    for rest in ["//models/a:x", "/%6dodels/%61:x", "/models/a%3Ax", "/models/a"] {
        assert_eq!(Endpoint::of(RequestFormat::Gemini, &Method::POST, (rest, None)).model, ModelIn::Target("a".into()), "{rest}");
    }
    for rest in ["", "/", "/mödels/x", "/models/", "/models/a/b"] {
        assert_eq!(Endpoint::of(RequestFormat::Gemini, &Method::POST, (rest, None)).model, ModelIn::Nothing, "{rest}");
    }
}

#[test]
fn the_query_of_a_realtime_session_names_its_model() {
    for (target, model) in [
        ("/realtime?model=gpt-realtime", ModelIn::Target("gpt-realtime".into())),
        ("/Realtime/?a&%6dodel=gpt%2Drealtime&b", ModelIn::Target("gpt-realtime".into())),
        ("/realtime/calls?MODEL=x", ModelIn::Target("x".into())),
        ("/realtime?model", ModelIn::Target("".into())),
        ("/realtime?model=a&model=b", ModelIn::Unclear),
        ("/realtime?model=a&Model=b", ModelIn::Unclear),
        ("/realtime?intent=transcription&models=x", ModelIn::Hidden),
        ("/realtime?", ModelIn::Hidden),
        ("/models?model=x", ModelIn::Nothing),
    ] {
        let (rest, query) = target.split_once('?').unwrap();
        assert_eq!(Endpoint::of(RequestFormat::Openai, &Method::GET, (rest, Some(query))).model, model, "{target}");
    }
}

#[test]
fn another_model_takes_its_place_in_the_path() {
    for (rest, expected) in [
        ("/models/gemini-pro:generateContent", Some("/models/new:generateContent")),
        ("/models/a", Some("/models/new")),
        ("//Models//a%3Ax", Some("//Models//new%3Ax")),
        ("/%6dodels/%61b:x", Some("/%6dodels/new:x")),
        ("/models%2Fa:x/", Some("/models%2Fnew:x/")),
        ("/models/%é:x", Some("/models/new:x")),
        ("/models/a/b", None),
        ("/models", None),
        ("/files/a:x", None),
        ("", None),
    ] {
        assert_eq!(with_model(rest, "new").as_deref(), expected, "{rest}");
    }
    assert_eq!(with_model("/models/a:x", "a/b:c?ü").as_deref(), Some("/models/a%2Fb%3Ac%3F%C3%BC:x"), "a name ends nothing");
}

proptest! {
    #[test]
    fn a_path_with_another_model_names_it_and_keeps_its_action(
        path in prop::collection::vec(prop::sample::select(vec!["/", "models", "%6D", "%2f", ":", "%3a", "a", "é", "%", "%zz", "m:x"]), 0..9),
        name in "[a-z0-9._-]{1,12}",
    ) {
        let rest = "/models/".to_owned() + &path.concat();
        let of = |rest: &str| Endpoint::of(RequestFormat::Gemini, &Method::POST, (rest, None)).model;
        let Some(renamed) = with_model(&rest, &name) else {
            prop_assert_eq!(of(&rest), ModelIn::Nothing);
            return Ok(());
        };
        prop_assert_eq!(of(&renamed), ModelIn::Target(name.into()), "{}", renamed);
        let action = |rest: &str| plain(rest).split_once(':').map(|(_, action)| action.to_owned());
        prop_assert_eq!(action(&renamed), action(&rest), "{}", renamed);
    }
}

#[test]
fn what_was_looked_up_before_is_what_a_look_finds() {
    for (format, rest) in USUAL {
        for method in [Method::POST, Method::GET, Method::DELETE] {
            for query in [None, Some("model=gpt-4o"), Some("api-version=2024-02-01")] {
                let target = (rest, query);
                assert_eq!(Endpoint::of(format, &method, target), Endpoint::look_up(format, &method, target), "{method} {target:?}");
            }
        }
    }
}
