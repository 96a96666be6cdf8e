//! The series of one provider behind one route, and of the models that are told apart there.
//!
//! A client may name any model, so the label is never what it wrote: it is the pattern of the config that fits, or one of two
//! words. Which one is found once a request; the handles of a model are made when it is first asked for, and are a look-up in a
//! row from then on.

use std::sync::{Arc, OnceLock};

use metrics::{Counter, Gauge, Histogram, SharedString, counter, gauge, histogram};

use super::{Metrics, costs::Sum, names};
use crate::{
    config::ModelPattern,
    types::{Money, Usage},
};

/// The models that metrics tell apart behind one route: each pattern, then [`Self::OTHER`], then [`Self::NONE`].
#[derive(Debug, Default)]
pub struct ModelLabels(Vec<ModelPattern>);

impl ModelLabels {
    /// The label of models that no pattern fits.
    pub const OTHER: &'static str = "other";
    /// The label of requests that name no model.
    pub const NONE: &'static str = "none";

    /// These patterns in their order; the first that fits a model is its label.
    #[must_use]
    pub fn new<'p>(patterns: impl IntoIterator<Item = &'p ModelPattern>) -> Self {
        let mut labels: Vec<ModelPattern> = Vec::new();
        for pattern in patterns {
            if !labels.contains(pattern) {
                labels.push(pattern.clone());
            }
        }
        Self(labels)
    }

    fn count(&self) -> usize {
        self.0.len() + 2
    }

    fn find(&self, model: Option<&str>) -> usize {
        match model {
            None => self.0.len() + 1,
            Some(model) => self.0.iter().position(|pattern| pattern.matches(model)).unwrap_or(self.0.len()),
        }
    }

    fn text(&self, at: usize) -> &str {
        match self.0.get(at) {
            Some(pattern) => pattern.as_str(),
            None if at == self.0.len() => Self::OTHER,
            None => Self::NONE,
        }
    }
}

/// One provider behind one route.
#[derive(Debug)]
pub struct TargetMetrics {
    ends: [Counter; 3],
    /// Time to the provider's first byte, seconds.
    pub first_byte: Histogram,
    /// Sidegate's own share, seconds.
    pub overhead: Histogram,
    /// Requests in flight.
    pub in_flight: Gauge,
    /// Event streams and WebSockets that are open.
    pub streams: Gauge,
    /// Body bytes sent up.
    pub sent: Counter,
    /// Body bytes relayed down.
    pub received: Counter,
    named: [(&'static str, SharedString); 2],
    labels: Arc<ModelLabels>,
    /// One for each of the labels.
    models: Box<[OnceLock<ModelMetrics>]>,
}

impl TargetMetrics {
    /// Counts how a relay ended: 0 complete, 1 left, 2 truncated.
    pub fn ended(&self, end: usize) {
        self.ends[end].increment(1);
    }

    /// Which of the models it is that a request names.
    #[must_use]
    pub fn model(&self, name: Option<&str>) -> usize {
        self.labels.find(name)
    }

    /// The series of a model, by what [`Self::model`] said. They begin with its first request.
    #[must_use]
    #[inline]
    pub fn of(&self, model: usize, metrics: &Metrics) -> &ModelMetrics {
        self.models[model].get_or_init(|| self.begin(model, metrics))
    }

    /// Adds what a request for a model cost. The sum begins with the first.
    pub fn cost(&self, model: usize, cost: Money, metrics: &Metrics) {
        let labels = || {
            let [route, provider] = self.named.each_ref().map(|(_, name)| name.to_string());
            [route, provider, self.labels.text(model).to_owned()]
        };
        self.of(model, metrics).cost.get_or_init(|| metrics.costs.sum(labels())).add(cost);
    }

    #[cold]
    fn begin(&self, model: usize, metrics: &Metrics) -> ModelMetrics {
        let [route, provider] = self.named.clone();
        let labels = [route, provider, ("model", self.labels.text(model).to_owned().into())];
        let with = |name: &'static str, value: &'static str| {
            let [route, provider, model] = labels.clone();
            [route, provider, model, (name, value.into())]
        };
        metrics.register(|| ModelMetrics {
            statuses: ["2xx", "3xx", "4xx", "5xx"].map(|class| counter!(names::REQUESTS, &with("status", class))),
            duration: histogram!(names::DURATION, &labels),
            ttft: histogram!(names::TTFT, &labels),
            tokens: ["input", "output", "cached", "reasoning"].map(|kind| counter!(names::TOKENS, &with("kind", kind))),
            cost: OnceLock::new(),
        })
    }
}

/// One model, or what is taken for one, of a provider behind a route.
#[derive(Debug)]
pub struct ModelMetrics {
    statuses: [Counter; 4],
    /// Whole time of a request, seconds.
    pub duration: Histogram,
    /// Time to a stream's first bytes, seconds.
    pub ttft: Histogram,
    tokens: [Counter; 4],
    cost: OnceLock<Sum>,
}

impl ModelMetrics {
    /// Counts a reply by the class of its status. Statuses beyond 599 count as 5xx.
    pub fn answered(&self, status: http::StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(2, 5) - 2;
        self.statuses[class].increment(1);
    }

    /// Counts the tokens that a reply told.
    pub fn used(&self, usage: Usage) {
        let Usage { input, output, cached, reasoning, stored: _, stored_long: _ } = usage;
        for (counter, tokens) in self.tokens.iter().zip([input, output, cached, reasoning]) {
            if let Some(tokens) = tokens {
                counter.increment(tokens);
            }
        }
    }
}

impl Metrics {
    /// The handles of one provider behind one route, where `labels` tell models apart.
    #[must_use]
    pub fn target(&self, route: &str, provider: &str, labels: Arc<ModelLabels>) -> TargetMetrics {
        let named = [("route", SharedString::from(route.to_owned())), ("provider", provider.to_owned().into())];
        let with = |end: &'static str| {
            let [route, provider] = named.clone();
            [route, provider, ("end", end.into())]
        };
        self.register(|| TargetMetrics {
            ends: ["complete", "left", "truncated"].map(|end| counter!(names::ENDS, &with(end))),
            first_byte: histogram!(names::FIRST_BYTE, &named),
            overhead: histogram!(names::OVERHEAD, &named),
            in_flight: gauge!(names::IN_FLIGHT, &named),
            streams: gauge!(names::STREAMS, &named),
            sent: counter!(names::SENT, &named),
            received: counter!(names::RECEIVED, &named),
            models: (0..labels.count()).map(|_| OnceLock::new()).collect(),
            labels,
            named: named.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<ModelPattern> {
        serde_json::from_value(serde_json::json!(texts)).unwrap()
    }

    #[test]
    fn a_model_is_called_by_the_first_pattern_that_fits() {
        let labels = ModelLabels::new(&patterns(&["gpt-4o-mini*", "gpt-*", "gpt-4o-mini*", "o3"]));
        for (model, text) in [
            (Some("gpt-4o-mini-2024"), "gpt-4o-mini*"),
            (Some("gpt-4o"), "gpt-*"),
            (Some("o3"), "o3"),
            (Some("o3-mini"), "other"),
            (Some(""), "other"),
            (None, "none"),
        ] {
            assert_eq!(labels.text(labels.find(model)), text, "{model:?}");
        }
        assert_eq!(labels.count(), 5);
    }

    #[test]
    fn a_series_begins_with_its_first_request_and_any_number_of_names_makes_one() {
        let metrics = Metrics::default();
        let target = metrics.target("/v1", "openai", Arc::new(ModelLabels::new(&patterns(&["gpt-*"]))));
        let series = |metrics: &Metrics| metrics.render().lines().filter(|line| line.starts_with("sidegate_requests_total")).count();
        assert_eq!(series(&metrics), 0);
        target.of(target.model(Some("gpt-4o")), &metrics).answered(http::StatusCode::OK);
        assert_eq!(series(&metrics), 4);
        for name in 0..1_000 {
            target.of(target.model(Some(&format!("{name}"))), &metrics).answered(http::StatusCode::OK);
        }
        assert_eq!(series(&metrics), 8);
        let page = metrics.render();
        let line = r#"sidegate_requests_total{route="/v1",provider="openai",model="other",status="2xx"} 1000"#;
        assert!(page.contains(line), "{page}");
    }
}
