// Evaluates a published rubric with the reference implementation of json-formula.
//
// Standard input: {"variables", "expressions", "statements": [{"id", "expression", "failIfMatched", "warnIfMatched"}],
// "documents": [...]}. Standard output: a line for each document, an object from statement to "true", "false", "warn"
// or, where the formula cannot be evaluated, "error". Named expressions take their arguments as the global `$args`, as in
// the evaluator of the conformance programme.
import { readFileSync } from 'node:fs';
import JsonFormula, { dataTypes } from '@adobe/json-formula';

const { variables, expressions, statements, documents } = JSON.parse(readFileSync(0, 'utf8'));
const names = [...Object.keys(variables), ...Object.keys(expressions), '$args'];
const allGlobals = { ...variables, $args: [] };

function arity(name) {
  const body = expressions[name];
  const used = [...body.matchAll(/\$args\[(\d+)\]/g)].map((match) => Number(match[1]) + 1);
  return Math.max(0, ...used);
}

const functions = {};
const compiled = {};
for (const name of Object.keys(expressions)) {
  const size = arity(name);
  functions[name] = {
    _func: (args, data, interpreter) => {
      if (size === 0) return interpreter.search(compiled[name], data);
      const saved = interpreter.globals.$args;
      interpreter.globals.$args = args;
      try {
        return interpreter.search(compiled[name], data);
      } finally {
        interpreter.globals.$args = saved;
      }
    },
    _signature: Array.from({ length: size }, () => ({ types: [dataTypes.TYPE_ANY] })),
  };
}
const engine = new JsonFormula(functions);
for (const [name, body] of Object.entries(expressions)) compiled[name] = engine.compile(body.trim(), names);
const formulas = statements.map((statement) => engine.compile(statement.expression.trim(), names));

function outcome(statement, value) {
  const isMatched = Array.isArray(value) && value.length > 0;
  if (statement.failIfMatched) return isMatched ? 'false' : 'true';
  if (statement.warnIfMatched) return isMatched ? 'warn' : 'true';
  if (Array.isArray(value)) return isMatched ? 'true' : 'false';
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'number') return String(value > 0);
  return String(value !== null && value !== undefined);
}

function decide(statement, formula, document) {
  try {
    return outcome(statement, engine.run(formula, document, 'en-US', { ...allGlobals }));
  } catch {
    return 'error';
  }
}

const answers = documents.map((document) => Object.fromEntries(
  statements.map((statement, index) => [statement.id, decide(statement, formulas[index], document)]),
));
process.stdout.write(answers.map((answer) => `${JSON.stringify(answer)}\n`).join(''));
