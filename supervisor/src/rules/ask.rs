//! An action that is asked for without a rule: by a person, a chain or a retry.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::RuleSet;
use super::jinja::Value as Jinja;
use super::order;
use super::parameters::{self, Check, Given, Plan};
use super::store::{Store, st2kv, system};
use super::template::Templates;
use crate::catalog::{Action, Catalog};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The action.
    pub action: &'a Action,
    /// Its parameters.
    pub given: &'a Map<String, Value>,
    /// Whether these may be templates. What was rendered is never rendered again.
    pub as_given: Given,
    /// Names of parameters that hold what is secret, whatever the schema says.
    pub secret: &'a [String],
    /// Who asks.
    pub user: &'a str,
}

/// Parameters that fit an action.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Rendered and cast; plain defaults of the action are not among them.
    pub parameters: Map<String, Value>,
    /// Names of those that nobody may see.
    pub secrets: Vec<String>,
}

impl RuleSet {
    /// Fills in and checks the parameters of an action.
    ///
    /// # Errors
    /// What does not fit, in StackStorm's words where they are clear.
    pub fn ask(
        &self,
        catalog: &Catalog,
        asking: Asking<'_>,
        store: &Arc<dyn Store>,
    ) -> Result<Asked, String> {
        let action = asking.action;
        if !action.enabled {
            let reference = &action.reference;
            return Err(format!(
                "Unable to execute. Action \"{reference}\" is disabled."
            ));
        }
        let absent = |name: &&str| asking.given.get(*name).is_none_or(Value::is_null);
        if let Some(name) = parameters::required(action).find(absent) {
            let reference = &action.reference;
            return Err(format!(
                "'{name}' is a required property: {reference} needs the parameter \"{name}\""
            ));
        }
        let mut templates = Templates::new(self.cipher.clone());
        let plan = Plan::compile(
            action,
            asking.given,
            asking.as_given,
            &mut templates,
            |_, _| {},
        )?;
        let pack = catalog.packs.get(&action.pack);
        let config = match pack.filter(|_| order::asks_for_config(asking.given, action)) {
            Some(pack) => self
                .config(pack, store)
                .map_err(|fault| fault.to_string())?,
            None => Map::new(),
        };
        let context = json!({"user": asking.user, "pack": action.pack});
        let base = BTreeMap::from([
            ("st2kv".to_owned(), st2kv(store)),
            ("action_context".to_owned(), Jinja::from(&context)),
            ("config_context".to_owned(), Jinja::from(&config)),
        ]);
        let parameters = plan.fill(action, &templates, &base)?;
        Check::default().check(action, &parameters)?;
        let config = pack.map(AsRef::as_ref);
        Ok(Asked {
            parameters,
            secrets: order::secrets(asking.secret, asking.given, action, config),
        })
    }

    /// Renders what is a template in `values`, under these names and those of the datastore.
    ///
    /// # Errors
    /// Which value cannot be rendered, and why.
    pub fn render(
        &self,
        values: &Map<String, Value>,
        names: &Map<String, Value>,
        store: &Arc<dyn Store>,
    ) -> Result<Map<String, Value>, String> {
        let mut context: BTreeMap<String, Jinja> = names
            .iter()
            .map(|(name, value)| (name.clone(), Jinja::from(value)))
            .collect();
        context.insert("st2kv".to_owned(), st2kv(store));
        context
            .entry("system".to_owned())
            .or_insert_with(|| system(store));
        let mut templates = Templates::new(self.cipher.clone());
        parameters::render(values, &mut templates, &context)
    }
}
