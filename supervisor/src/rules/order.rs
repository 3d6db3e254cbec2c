//! What a rule asks for when it matches: its action, with parameters filled in from the event.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::RuleSet;
use super::criteria::Scope;
use super::engine::Turn;
use super::jinja::Value as Jinja;
use super::parameters::{Check, Plan};
use super::store::st2kv;
use super::template::is_template;
use crate::catalog::{Action, Pack, Rule, RuleOrder};

/// Longest text of a turn that is kept as it is, bytes.
const LONGEST_TURN: usize = 200;

/// The action of a rule, ready for events.
#[derive(Debug)]
pub struct Order {
    /// The action.
    pub action: Arc<Action>,
    /// Its parameters, or why every event fails.
    pub plan: Result<Plan, String>,
    /// Names of the parameters that nobody may see.
    pub secrets: Arc<[String]>,
    /// The check of the action's parameters.
    pub check: Arc<Check>,
    /// The pack whose configuration is `config_context`; none where no template asks for it.
    pub config: Option<Arc<Pack>>,
    /// `action_context`.
    pub context: Jinja,
}

impl RuleSet {
    /// The parameters with which an order requests its action.
    pub(super) fn parameters(
        &self,
        order: &Order,
        scope: &Scope<'_>,
    ) -> Result<Map<String, Value>, String> {
        let action = &order.action;
        if !action.enabled {
            let reference = &action.reference;
            return Err(format!(
                "Unable to execute. Action \"{reference}\" is disabled."
            ));
        }
        let plan = order.plan.as_ref().map_err(Clone::clone)?;
        let base = match plan.needs_context() {
            true => self.names(order, scope)?,
            false => BTreeMap::new(),
        };
        let parameters = plan.fill(action, &self.templates, &base)?;
        order.check.check(action, &parameters)?;
        Ok(parameters)
    }

    /// Whose turn an execution has to wait for.
    pub(super) fn turn(
        &self,
        turn: &Turn,
        order: &Order,
        scope: &Scope<'_>,
    ) -> Result<Option<String>, String> {
        let template = match turn {
            Turn::Free => return Ok(None),
            Turn::All => return Ok(Some(String::new())),
            Turn::By(template) => template,
        };
        let names = Jinja::map(self.names(order, scope)?);
        let text = self.templates.render(template, &names);
        let text = text.map_err(|why| format!("Failed to render \"order_by\": {why}"))?;
        Ok(Some(match text.len() > LONGEST_TURN {
            true => blake3::hash(text.as_bytes()).to_hex().to_string(),
            false => text,
        }))
    }

    /// What the templates of parameters may name.
    fn names(&self, order: &Order, scope: &Scope<'_>) -> Result<BTreeMap<String, Jinja>, String> {
        let config = match &order.config {
            Some(pack) => self.config(pack, scope.store),
            None => Ok(Map::new()),
        };
        let config = config.map_err(|fault| fault.to_string())?;
        let trigger = scope.context().get("trigger").unwrap_or_default();
        Ok(BTreeMap::from([
            ("trigger".to_owned(), trigger),
            ("st2kv".to_owned(), st2kv(scope.store)),
            ("action_context".to_owned(), order.context.clone()),
            ("config_context".to_owned(), Jinja::from(&config)),
        ]))
    }
}

/// The texts of the templates that an order may render.
fn texts<'a>(
    given: &'a Map<String, Value>,
    action: &'a Action,
) -> impl Iterator<Item = String> + 'a {
    let all = given.values().chain(action.all_parameters.values());
    all.map(Value::to_string)
}

/// Whether its criteria, its parameters or the defaults of its action name the datastore; text that
/// only looks like it does no harm.
pub(super) fn reads_store(rule: &Rule, order: Option<&Order>) -> bool {
    let names = |text: &str| text.contains("st2kv") || text.contains("system");
    let criteria = rule.criteria.iter();
    let dynamic = |order: &Order| order.config.as_ref().is_some_and(|pack| pack.is_dynamic);
    criteria.clone().any(|one| names(&one.key))
        || criteria
            .map(|one| one.pattern.to_string())
            .any(|text| names(&text))
        || matches!(&rule.order, RuleOrder::By(template) if names(template))
        || order.is_some_and(|one| {
            dynamic(one) || texts(&rule.parameters, &one.action).any(|text| names(&text))
        })
}

/// Whether a template of what is given or of the action asks for the configuration of the pack.
pub(super) fn asks_for_config(given: &Map<String, Value>, action: &Action) -> bool {
    texts(given, action).any(|text| text.contains("config_context"))
}

/// Parameters that are secret: `known` ones, by their schema, because a template decrypts, or because
/// it takes from what is secret. Text that only looks so is hidden as well.
pub(super) fn secrets(
    known: &[String],
    given: &Map<String, Value>,
    action: &Action,
    config: Option<&Pack>,
) -> Vec<String> {
    let of_config = config.is_some_and(|pack| !pack.secrets.is_empty());
    let text = |name: &str, schema: &Value| {
        let value = given.get(name).or_else(|| schema.get("default"));
        value.map(Value::to_string).unwrap_or_default()
    };
    let all = || action.all_parameters.iter();
    let own = |name: &str, schema: &Value| {
        let text = text(name, schema);
        schema.get("secret") == Some(&Value::Bool(true))
            || text.contains("decrypt_kv")
            || of_config && text.contains("config_context")
    };
    let is_known = |name: &str| known.iter().any(|one| one == name);
    let of_itself = all().filter(|(name, schema)| !is_known(name) && own(name, schema));
    let mut found = known.to_vec();
    found.extend(of_itself.map(|(name, _)| name.to_owned()));
    loop {
        let takes = |text: &str| is_template(text) && found.iter().any(|name| text.contains(name));
        let next = all().find(|(name, schema)| {
            found.iter().all(|known| known != name) && takes(&text(name, schema))
        });
        match next {
            Some((name, _)) => found.push(name.to_owned()),
            None => return found,
        }
    }
}
