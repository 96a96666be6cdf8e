use super::*;

fn chosen(variables: &[(&str, &str)], url: &str) -> Option<String> {
    let environment: Environment = variables.iter().copied().collect();
    from_environment(&environment, &url.parse().unwrap()).unwrap().map(|proxy| proxy.to_string())
}

const PROXY: (&str, &str) = ("HTTPS_PROXY", "http://proxy.internal:3128");
const OPENAI: &str = "https://api.openai.com/v1";

#[test]
fn the_scheme_chooses_the_variable_and_all_stands_in() {
    let shown = Some("http://proxy.internal:3128".to_owned());
    assert_eq!(chosen(&[PROXY], OPENAI), shown);
    assert_eq!(chosen(&[("https_proxy", "proxy.internal:3128")], OPENAI), shown, "small letters, no scheme");
    assert_eq!(chosen(&[PROXY], "http://vllm.internal"), None);
    assert_eq!(chosen(&[("HTTP_PROXY", "http://proxy.internal:3128")], "http://vllm.internal"), shown);
    assert_eq!(chosen(&[("HTTP_PROXY", "http://proxy.internal:3128")], OPENAI), None);
    assert_eq!(chosen(&[("ALL_PROXY", "http://other:1"), PROXY], OPENAI), shown);
    assert_eq!(chosen(&[("all_proxy", "http://proxy.internal:3128")], "http://vllm.internal"), shown);
    assert_eq!(chosen(&[("HTTPS_PROXY", "")], OPENAI), None);
    assert_eq!(chosen(&[], OPENAI), None);
}

#[test]
fn no_proxy_names_hosts_domains_networks_and_ports() {
    for (list, url, exempt) in [
        ("api.openai.com", OPENAI, true),
        ("openai.com", OPENAI, true),
        (".openai.com", OPENAI, true),
        ("*.openai.com", OPENAI, true),
        ("API.OpenAI.com", OPENAI, true),
        ("*", OPENAI, true),
        ("a, b ,openai.com", OPENAI, true),
        ("a b openai.com", OPENAI, true),
        ("api.openai.com:443", OPENAI, true),
        ("api.openai.com:8443", OPENAI, false),
        ("enai.com", OPENAI, false),
        ("", OPENAI, false),
        ("10.0.0.0/8", "https://10.1.2.3", true),
        ("10.0.0.0/8", "https://11.1.2.3", false),
        ("fd00::/8", "https://[fd00::1]:8000", true),
        ("[fd00::1]:8000", "https://[fd00::1]:8000", true),
        ("fd00::1", "https://[fd00::1]:8000", true),
    ] {
        assert_eq!(chosen(&[PROXY, ("no_proxy", list)], url).is_none(), exempt, "{list} {url}");
    }
}

#[test]
fn what_is_near_is_never_behind_a_proxy_of_the_environment() {
    for url in [
        "https://localhost:8000",
        "https://a.localhost",
        "https://127.0.0.9",
        "https://[::1]",
        "https://[::ffff:127.0.0.1]",
        "https://169.254.169.254",
        "https://[fe80::1]",
        "https://[fd00:ec2::254]",
        "https://metadata.google.internal",
        "https://0.0.0.0",
        "unix:/run/vllm.sock",
    ] {
        assert_eq!(chosen(&[PROXY, ("ALL_PROXY", "http://p:1")], url), None, "{url}");
    }
    assert!(chosen(&[PROXY], "https://notlocalhost").is_some());
}

#[test]
fn an_unfit_variable_is_named_and_its_value_is_not() {
    for value in
        ["socks5://u:hunter2@host:1080", "https://u:hunter2@host", "ftp://u:hunter2@host", "http://u:hunter2@", "not a hunter2 url"]
    {
        let environment = Environment::from([("HTTPS_PROXY", value)]);
        let unfit = from_environment(&environment, &OPENAI.parse().unwrap()).unwrap_err();
        assert_eq!(unfit.name, "HTTPS_PROXY");
        assert!(!unfit.problem.contains("hunter2"), "{}", unfit.problem);
        assert_eq!(chosen(&[("HTTPS_PROXY", value), ("NO_PROXY", "openai.com")], OPENAI), None, "nobody follows it");
    }
}

#[test]
fn credentials_are_decoded_for_the_wire_and_shown_nowhere() {
    let proxy: Proxy = "http://user:p%40ss@proxy.internal".parse().unwrap();
    // The base64 of `user:p@ss`.
    assert_eq!(proxy.authorization().unwrap(), "Basic dXNlcjpwQHNz");
    assert_eq!(proxy.to_string(), "http://[secret]@proxy.internal:80");
    let shown = format!("{proxy:?} {}", serde_json::to_string(&ProxyChoice::Through(proxy.clone())).unwrap());
    assert!(!shown.contains("dXNlc") && !shown.contains("p@ss") && !shown.contains("p%40ss"), "{shown}");
    assert_eq!("http://[fd00::1]:3128".parse::<Proxy>().unwrap().to_string(), "http://[fd00::1]:3128");
}
