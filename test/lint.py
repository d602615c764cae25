"""Looks through the SQL of the extension for what a careful reviewer would refuse.

    lint.py [--types FILE] [--headers DIRECTORY]... FILE.sql... FILE.c...

Prints "FILE:LINE: RULE: what is wrong" and ends with status 1 where there is anything. Statements of .sql files are parsed
by PostgreSQL's own parser (pglast); in .c files it is the texts of statements, after the preprocessor has put them
together. The rules are listed with `--rules`, a line each.

What has to be written with its schema: tables, functions, and every type and operator that is not one of pg_catalog's.
The names of those need none, in SQL-standard bodies, views and defaults neither: the install script pins the search path
to "pg_catalog, pg_temp", src/base/sql.c does so for statements of C, and text bodies of functions have to pin it themselves.
Under that path an operator can only be pg_catalog's, as none is ever looked for in pg_temp, and so can a type that
pg_catalog has. Functions of pg_catalog are written with it all the same: overloading makes the better match win, not the
first one, as soon as there is more than one schema.
"""
import argparse
import re
import subprocess
import sys

from pglast import ast, parse_plpgsql, parse_sql
from pglast.enums import FunctionParameterMode, GrantTargetType, ObjectType, RoleSpecType
from pglast.parser import ParseError

RULES = {
    "syntax": "what PostgreSQL cannot parse",
    "unpinned-script": "an install or upgrade script that does not begin by pinning its search path",
    "unqualified-table": "a table without its schema that is neither a WITH query nor an alias",
    "unqualified-function": "a function without its schema",
    "unqualified-operator": "an operator without its schema that is not one of pg_catalog's",
    "unqualified-type": "a type without its schema that is not one of pg_catalog's",
    "unqualified-object": "something that is created without its schema",
    "definer-path": "SECURITY DEFINER without SET search_path = pg_catalog, pg_temp",
    "text-body": "a body that is a text, parsed anew by whatever path, without SET search_path = pg_catalog, pg_temp",
    "or-replace": "OR REPLACE or IF NOT EXISTS: what is there already may be somebody else's",
    "revoke": "a function that is not IMMUTABLE, and for which nothing is said to PUBLIC, be it REVOKE or GRANT",
    "grant-public": "to PUBLIC is granted what writes",
    "comment": "an object without a comment",
    "column-type": "a column of a type that is not on the list",
    "own-spi": "SQL that C runs by another way than src/base/sql.c, which pins the path and the user",
    "backslash": "a backslash in a plain literal of C's SQL: what it means is up to the caller's standard_conforming_strings",
}

PINNED = ["pg_catalog", "pg_temp"]

# Beside the columns' types these are written without a schema: pg_catalog has them.
TYPES = {"name", "oid", "regclass", "record", "trigger", "event_trigger", "void", "anyelement", "anyarray", "internal", "date", "uuid", "timestamptz", "json"}

OPERATORS = set("= <> != < > <= >= + - * / % ^ || -> ->> #> #>> @> <@ ? ?| ?& @? @@ #- ~ ~* !~ !~* ~~ ~~* !~~ !~~* && -|- << >> &< &> ^@".split())

# Who else calls SPI by itself: src/gate/policy.c, which is there to run what users wrote, with the caller's rights; and
# src/registry/grant.c, which runs GRANT and REVOKE inside a scope of src/base/sql.h.
OWN_SPI = ("src/base/sql.c", "src/gate/policy.c", "src/registry/grant.c")

# A relation that exists in one statement only: the rows that C hands to it, see src/deployment/plan.c. Those of triggers, after
# REFERENCING, are read from the scripts, and those of batches, see src/base/batch.h, from the sources.
NAMED_ROWS = {"promote_planned_rows", "old_row", "own_instance"}

COMMENTED = {
    ObjectType.OBJECT_TABLE: "table", ObjectType.OBJECT_VIEW: "view", ObjectType.OBJECT_INDEX: "index", ObjectType.OBJECT_COLUMN: "column",
    ObjectType.OBJECT_FUNCTION: "function", ObjectType.OBJECT_PROCEDURE: "function", ObjectType.OBJECT_ROUTINE: "function", ObjectType.OBJECT_AGGREGATE: "function",
    ObjectType.OBJECT_TYPE: "type", ObjectType.OBJECT_DOMAIN: "type", ObjectType.OBJECT_POLICY: "policy", ObjectType.OBJECT_SEQUENCE: "sequence",
    ObjectType.OBJECT_MATVIEW: "view",
}


def strings(parts):
    """The names in a list of String nodes."""
    return [part.sval for part in parts or ()]


def dotted(parts):
    return ".".join(strings(parts))


def relation_name(range_var):
    return ".".join(part for part in (range_var.schemaname, range_var.relname) if part)


def type_name(type_node):
    """As it tells functions apart: without the schema that is understood."""
    names = strings(type_node.names)
    return ".".join(names[1:] if names[0] == "pg_catalog" else names) + "[]" * len(type_node.arrayBounds or ())


def children(node):
    """The nodes right below a node."""
    for slot in node:
        value = getattr(node, slot)
        stack = [value]
        while stack:
            item = stack.pop()
            if isinstance(item, ast.Node):
                yield item
            elif isinstance(item, tuple):
                stack.extend(reversed(item))


def options(node):
    """The options of CREATE FUNCTION by their names; SET is a list of (setting, values)."""
    found = {"set": []}
    for option in node.options or ():
        if option.defname == "set":
            found["set"].append((option.arg.name, [getattr(value.val, "sval", None) for value in option.arg.args or ()]))
        else:
            found[option.defname] = option.arg
    return found


class Linter:
    def __init__(self, column_types):
        self.column_types = column_types
        self.problems = []
        self.place = None
        self.created = []          # (kind, name, place): what has to have a comment
        self.comments = set()      # (kind, name)
        self.functions = []        # (name, with arguments, place): what needs a word to PUBLIC
        self.spoken = set()        # names, with arguments or without them
        self.named_rows = set(NAMED_ROWS)

    def report(self, rule, what, place=None):
        assert rule in RULES
        self.problems.append((*(place or self.place), rule, what))

    # ---- files ----

    def sql_file(self, path):
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"^\\.*$", "", file.read(), flags=re.M)   # psql's
        self.place = (path, 1)
        try:
            statements = parse_sql(text)
        except ParseError as error:
            return self.report("syntax", str(error))
        if re.search(r"(?:prelude|promote--.*|script)\.sql$", path) and not (statements and self.pins(statements[0].stmt)):
            self.report("unpinned-script", "begin with SET LOCAL search_path TO pg_catalog, pg_temp")
        for raw in statements:
            begin = raw.stmt_location
            begin += len(re.match(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*", text[begin:], re.S).group())
            self.place = (path, text.count("\n", 0, begin) + 1)
            self.statement(raw.stmt)

    def c_file(self, path, headers):
        """The texts of statements; what the preprocessor leaves of them are string literals side by side."""
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for match in re.finditer(r"\bSPI_(?:prepare|exec|cursor_open)\w*\(", "" if path.endswith(OWN_SPI) else text):
            self.report("own-spi", match[0] + ")", (path, text.count("\n", 0, match.start()) + 1))
        expected = len(re.findall(r"\bStatement\s+\w+(?:\[\])?\s*=|\bSQL_FIELD\(\w", text)) if path != "src/base/sql.h" else 0
        if expected == 0:
            return
        made = subprocess.run(["cc", "-E", *(f"-I{header}" for header in headers), path], capture_output=True, text=True, check=True).stdout
        line = 0
        literal = r'"(?:[^"\\]|\\.)*"'
        literals = r"((?:\s|^#.*$|" + literal + r")*)"
        found = 0
        # a statement's text, alone or by SQL_ROWS, or the expression of a field
        for match in re.finditer(r'^# (\d+) "[^"]*".*$|(\.text = |\{)' + literals + r"((?:,\s*_Generic)?)|\n", made, re.M):
            if match[1]:
                line = int(match[1]) - 1
                continue
            if match[0] == "\n":
                line += 1
                continue
            pieces = re.findall(literal, re.sub(r"^#.*$", "", match[3], flags=re.M))
            sql = "".join(piece[1:-1] for piece in pieces).encode().decode("unicode_escape")
            is_field = match[4] != ""
            if is_field or match[2] != "{" or re.match(r"(?:SELECT|INSERT|UPDATE|DELETE|WITH|VALUES)\b", sql):
                found += 1
                self.place = (path, line)
                if "\\" in re.sub(r"\b[eE]'(?:[^'\\]|\\.|'')*'", "", sql):
                    self.report("backslash", "write E'...'")
                self.text("SELECT " + sql if is_field else sql.replace("$*", "*"))
            line += match[0].count("\n")
        # a text in a macro stands for several
        if found < expected:
            self.report("syntax", f"{expected} texts of statements and fields, and {found} of them can be read")

    def text(self, sql):
        """Statements out of a string."""
        if not sql.strip():
            return self.report("syntax", "a statement that is not a literal")
        try:
            statements = parse_sql(sql)
        except ParseError as error:
            return self.report("syntax", f"{error}: {sql}")
        for raw in statements:
            self.walk(raw.stmt, frozenset())

    # ---- statements ----

    def pins(self, statement):
        return isinstance(statement, ast.VariableSetStmt) and statement.name == "search_path" and statement.is_local \
            and [value.val.sval for value in statement.args] == PINNED

    def statement(self, node):
        handler = getattr(self, "of_" + type(node).__name__, None)
        if handler:
            handler(node)
        if getattr(node, "replace", False) or getattr(node, "if_not_exists", False):
            self.report("or-replace", "say CREATE alone")
        self.walk(node, frozenset())

    def create(self, kind, name):
        if name.count(".") < {"column": 2, "policy": 2}.get(kind, 1):
            self.report("unqualified-object", f"{kind} {name}")
        self.created.append((kind, name, self.place))

    def of_CreateStmt(self, node):
        table = relation_name(node.relation)
        self.create("table", table)
        for column in node.tableElts or ():
            if isinstance(column, ast.ColumnDef):
                self.column(table, column)

    def of_AlterTableStmt(self, node):
        for command in node.cmds:
            if isinstance(command.def_, ast.ColumnDef) and command.def_.colname:
                self.column(relation_name(node.relation), command.def_)

    def column(self, table, node):
        self.create("column", f"{table}.{node.colname}")
        name = type_name(node.typeName)
        # a domain's own type is looked at where it is created
        if name not in self.column_types and not name.startswith("promote."):
            self.report("column-type", f"{table}.{node.colname} is of type {name}")

    def of_CreateDomainStmt(self, node):
        self.create("type", dotted(node.domainname))
        if type_name(node.typeName) not in self.column_types:
            self.report("column-type", f"domain {dotted(node.domainname)} is of type {type_name(node.typeName)}")

    def of_CompositeTypeStmt(self, node):
        name = relation_name(node.typevar)
        self.create("type", name)
        for column in node.coldeflist:
            self.create("column", f"{name}.{column.colname}")

    def of_CreateEnumStmt(self, node):
        self.create("type", dotted(node.typeName))

    def of_ViewStmt(self, node):
        # the comments of its columns are looked for in the catalogs, by test/sql/registry/registry.sql
        self.create("view", relation_name(node.view))

    def of_CreateSeqStmt(self, node):
        self.create("sequence", relation_name(node.sequence))

    def of_IndexStmt(self, node):
        # an index is in its table's schema
        self.create("index", f"{node.relation.schemaname or ''}.{node.idxname}".lstrip("."))

    def of_CreatePolicyStmt(self, node):
        self.create("policy", f"{relation_name(node.table)}.{node.policy_name}")

    def of_CreateTrigStmt(self, node):
        self.named_rows |= {rows.name for rows in node.transitionRels or ()}

    def of_CreateFunctionStmt(self, node):
        name = dotted(node.funcname)
        modes = (FunctionParameterMode.FUNC_PARAM_OUT, FunctionParameterMode.FUNC_PARAM_TABLE)
        arguments = [type_name(parameter.argType) for parameter in node.parameters or () if parameter.mode not in modes]
        signature = f"{name}({', '.join(arguments)})"
        said = options(node)
        pinned = ("search_path", PINNED) in said["set"]
        self.create("function", signature)
        if getattr(said.get("volatility"), "sval", "volatile") != "immutable":
            self.functions.append((name, signature, self.place))
        if "security" in said and said["security"].boolval and not pinned:
            self.report("definer-path", signature)
        language = said["language"].sval.lower() if "language" in said else "sql"
        if language in ("sql", "plpgsql") and "as" in said:
            if not pinned:
                self.report("text-body", signature)
            self.body(language, said["as"][0].sval, node)

    def of_DefineStmt(self, node):
        if node.kind == ObjectType.OBJECT_AGGREGATE:
            arguments = ", ".join(type_name(parameter.argType) for parameter in node.args[0])
            self.create("function", f"{dotted(node.defnames)}({arguments})")

    def of_DoStmt(self, node):
        said = {argument.defname: argument.arg for argument in node.args}
        self.plpgsql(f"DO $lint$ {said['as'].sval} $lint$")

    def body(self, language, text, node):
        if language == "sql":
            self.text(text)
        else:
            returns = "trigger" if type_name(node.returnType) == "trigger" else "record"
            parameters = ", ".join(parameter.name or "" for parameter in node.parameters or ())
            declared = ", ".join(f"{name} text" for name in parameters.split(", ") if name)
            self.plpgsql(f"CREATE FUNCTION f({declared}) RETURNS {returns} LANGUAGE plpgsql AS $lint$ {text} $lint$")

    def plpgsql(self, text):
        """Every expression and statement of PL/pgSQL; which of both it is, the parser does not say."""
        try:
            stack = [parse_plpgsql(text)]
        except ParseError as error:
            return self.report("syntax", str(error))
        while stack:
            item = stack.pop()
            if isinstance(item, list):
                stack.extend(item)
            elif isinstance(item, dict):
                stack.extend(value for key, value in item.items() if key != "PLpgSQL_expr")
                if "PLpgSQL_expr" in item:
                    query = re.sub(r"^\s*[\w.]+\s*:=", "", item["PLpgSQL_expr"]["query"])
                    try:
                        parse_sql(query)
                    except ParseError:
                        query = "SELECT " + query
                    self.text(query)

    # ---- what is said of objects ----

    def of_CommentStmt(self, node):
        kind = COMMENTED.get(node.objtype)
        if kind is None or not node.comment:
            return
        target = node.object
        if isinstance(target, ast.ObjectWithArgs):
            name = self.signature(target)
        elif isinstance(target, ast.TypeName):
            name = dotted(target.names)
        else:
            name = dotted(target)
        self.comments.add((kind, name))

    def signature(self, target):
        arguments = ", ".join(type_name(argument) for argument in target.objargs or ())
        return dotted(target.objname) + ("" if target.args_unspecified else f"({arguments})")

    def of_GrantStmt(self, node):
        public = any(role.roletype == RoleSpecType.ROLESPEC_PUBLIC for role in node.grantees)
        if not public:
            return
        privileges = {privilege.priv_name for privilege in node.privileges or ()} or {"all"}
        if node.objtype in (ObjectType.OBJECT_FUNCTION, ObjectType.OBJECT_ROUTINE):
            if node.targtype != GrantTargetType.ACL_TARGET_OBJECT:
                return self.report("grant-public", "name the functions")
            for target in node.objects:
                self.spoken.add(self.signature(target))
        elif node.is_grant and not privileges <= {"select", "usage"}:
            self.report("grant-public", ", ".join(sorted(privileges)))

    def finish(self):
        for kind, name, place in self.created:
            if (kind, name) not in self.comments:
                self.report("comment", f"{kind} {name} has none", place)
        for name, signature, place in self.functions:
            if not {name, signature} & self.spoken:
                self.report("revoke", signature, place)

    # ---- names ----

    def walk(self, node, queries):
        """Look at the names in a tree; queries are the names that WITH gives there."""
        clause = getattr(node, "withClause", None)
        if clause:
            queries = queries | {query.ctename for query in clause.ctes}
        look = getattr(self, "name_of_" + type(node).__name__, None)
        if look:
            look(node, queries)
        for child in children(node):
            # FOR UPDATE OF an alias, and words that are read as types
            if not isinstance(child, ast.LockingClause) and getattr(child, "defname", None) != "parallel":
                self.walk(child, queries)

    def name_of_RangeVar(self, node, queries):
        if not node.schemaname and node.relname not in queries | self.named_rows:
            self.report("unqualified-table", node.relname)

    def name_of_FuncCall(self, node, queries):
        if len(node.funcname) == 1:
            self.report("unqualified-function", dotted(node.funcname))

    def name_of_CreateTrigStmt(self, node, queries):
        if len(node.funcname) == 1:
            self.report("unqualified-function", dotted(node.funcname))

    def name_of_TypeName(self, node, queries):
        if len(node.names) == 1 and type_name(node).rstrip("[]") not in TYPES | self.column_types:
            self.report("unqualified-type", type_name(node))

    def operator(self, parts):
        if parts and len(parts) == 1 and strings(parts)[0] not in OPERATORS:
            self.report("unqualified-operator", dotted(parts))

    def name_of_A_Expr(self, node, queries):
        self.operator([part for part in node.name if part.sval not in ("BETWEEN", "NOT BETWEEN", "BETWEEN SYMMETRIC", "NOT BETWEEN SYMMETRIC")])

    def name_of_SubLink(self, node, queries):
        self.operator(node.operName)

    def name_of_SortBy(self, node, queries):
        self.operator(node.useOp)


def types_of(path):
    """The columns' types, from the test that looks for them in the catalogs: the list is there alone."""
    with open(path, encoding="utf-8") as file:
        listed = re.search(r"::regtype::text NOT IN \(([^)]*)\)", file.read())[1]
    names = {"integer": "int4", "bigint": "int8", "boolean": "bool", "timestamp with time zone": "timestamptz",
             "timestamp without time zone": "timestamp", "timestamp without time zone[]": "timestamp[]"}
    return {names.get(name, name) for name in re.findall(r"'([^']*)'", listed)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rules", action="store_true")
    parser.add_argument("--types", default="test/sql/registry/registry.sql")
    parser.add_argument("--headers", action="append", default=[])
    parser.add_argument("files", nargs="*")
    arguments = parser.parse_args()
    if arguments.rules:
        print("\n".join(RULES))
        return 0
    linter = Linter(types_of(arguments.types))
    for path in arguments.files:
        linter.named_rows |= set(re.findall(r'\.name = "(\w+)",\.(?:of|columns) = ', open(path, encoding="utf-8").read()))
    for path in arguments.files:
        if path.endswith(".c"):
            linter.c_file(path, arguments.headers)
        else:
            linter.sql_file(path)
    linter.finish()
    for path, line, rule, what in sorted(linter.problems):
        print(f"{path}:{line}: {rule}: {what}")
    return 1 if linter.problems else 0


sys.exit(main())
