package pgmove

// shape is what a database has beside rows: of each sort of things a sum of what they are called
// and how they are made, in words that versions of the server agree on. What belongs to an
// extension comes with it, and what the server makes by itself beside something comes with
// that; a server may have more extensions in every database than the other has (one that is
// lacking fails the load). Definitions as the server prints them are left out: versions print them differently.
const shape = `
WITH e AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
n AS (SELECT oid, nspname::text AS s FROM pg_namespace x WHERE nspname <> 'information_schema' AND nspname !~ '^pg_' AND NOT EXISTS (SELECT FROM e WHERE classid = 'pg_namespace'::regclass AND objid = x.oid)),
i AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'i' AND classid IN ('pg_proc'::regclass, 'pg_type'::regclass)),
c AS (SELECT c.*, s || '.' || relname AS name FROM pg_class c JOIN n ON n.oid = relnamespace WHERE relpersistence <> 't' AND NOT EXISTS (SELECT FROM e WHERE classid = 'pg_class'::regclass AND objid = c.oid)),
parts(what, name) AS (
SELECT 'schemas', s FROM n
UNION ALL SELECT CASE relkind WHEN 'v' THEN 'views' WHEN 'm' THEN 'materialized views' WHEN 'f' THEN 'foreign tables' ELSE 'tables' END, concat_ws(' ', name, relkind, relpersistence, relispartition, relrowsecurity, relforcerowsecurity) FROM c WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
UNION ALL SELECT 'columns', concat_ws(' ', name, attname, format_type(atttypid, atttypmod), attnotnull, atthasdef, attidentity, attgenerated, collname) FROM c JOIN pg_attribute a ON attrelid = c.oid LEFT JOIN pg_collation l ON l.oid = attcollation WHERE relkind IN ('r', 'p', 'f', 'c') AND attnum > 0 AND NOT attisdropped
UNION ALL SELECT 'indexes', concat_ws(' ', name, indisunique, indisprimary, indnatts) FROM c JOIN pg_index ON indexrelid = c.oid WHERE relkind = 'i' AND indisvalid
UNION ALL SELECT 'constraints', concat_ws(' ', name, conname, contype, convalidated, condeferrable) FROM c JOIN pg_constraint ON conrelid = c.oid WHERE contype NOT IN ('n', 't') AND conparentid = 0
UNION ALL SELECT 'triggers', concat_ws(' ', name, tgname, tgtype, tgenabled) FROM c JOIN pg_trigger ON tgrelid = c.oid WHERE NOT tgisinternal AND tgparentid = 0
UNION ALL SELECT 'policies', concat_ws(' ', name, polname, polcmd, polpermissive) FROM c JOIN pg_policy ON polrelid = c.oid
UNION ALL SELECT 'rules', concat_ws(' ', name, rulename, ev_type, ev_enabled) FROM c JOIN pg_rewrite ON ev_class = c.oid WHERE rulename <> '_RETURN'
UNION ALL SELECT 'functions', concat_ws(' ', s, proname, prokind, prosecdef, provolatile, prosrc, array_to_string(proconfig, ' ')) FROM pg_proc p JOIN n ON n.oid = pronamespace
 WHERE NOT EXISTS (SELECT FROM e WHERE classid = 'pg_proc'::regclass AND objid = p.oid) AND NOT EXISTS (SELECT FROM i WHERE classid = 'pg_proc'::regclass AND objid = p.oid)
UNION ALL SELECT 'types', concat_ws(' ', s, typname, typtype, typnotnull, (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid),
  (SELECT string_agg(conname, ',' ORDER BY conname COLLATE "C") FROM pg_constraint WHERE contypid = t.oid AND contype = 'c')) FROM pg_type t JOIN n ON n.oid = typnamespace
 WHERE typtype IN ('d', 'e', 'r') AND NOT EXISTS (SELECT FROM e WHERE classid = 'pg_type'::regclass AND objid = t.oid)
UNION ALL SELECT 'collations', s || '.' || collname FROM pg_collation l JOIN n ON n.oid = collnamespace WHERE NOT EXISTS (SELECT FROM e WHERE classid = 'pg_collation'::regclass AND objid = l.oid)
UNION ALL SELECT 'operators', s || '.' || oprname FROM pg_operator o JOIN n ON n.oid = oprnamespace WHERE NOT EXISTS (SELECT FROM e WHERE classid = 'pg_operator'::regclass AND objid = o.oid)
UNION ALL SELECT 'text search configurations', s || '.' || cfgname FROM pg_ts_config g JOIN n ON n.oid = cfgnamespace WHERE NOT EXISTS (SELECT FROM e WHERE classid = 'pg_ts_config'::regclass AND objid = g.oid)
UNION ALL SELECT 'statistics', s || '.' || stxname FROM pg_statistic_ext JOIN n ON n.oid = stxnamespace
UNION ALL SELECT 'event triggers', concat_ws(' ', evtname, evtevent, evtenabled) FROM pg_event_trigger v WHERE NOT EXISTS (SELECT FROM e WHERE classid = 'pg_event_trigger'::regclass AND objid = v.oid)
UNION ALL SELECT 'comments', concat_ws(' ', classoid::regclass, (pg_identify_object(classoid, objoid, objsubid)).identity, description) FROM pg_description x
 WHERE (objoid >= 16384 OR classoid = 'pg_namespace'::regclass AND objoid = (SELECT oid FROM pg_namespace WHERE nspname = 'public')) AND description <> 'standard public schema'
 AND classoid NOT IN ('pg_extension'::regclass, 'pg_publication'::regclass, 'pg_subscription'::regclass) AND NOT EXISTS (SELECT FROM e WHERE e.classid = x.classoid AND e.objid = x.objoid)
UNION ALL SELECT 'foreign servers', srvname::text FROM pg_foreign_server v WHERE NOT EXISTS (SELECT FROM e WHERE classid = 'pg_foreign_server'::regclass AND objid = v.oid))
SELECT what, count(*)::text || ' ' || md5(convert_to(string_agg(name, E'\n' ORDER BY name COLLATE "C"), 'UTF8')) FROM parts GROUP BY what`

// pictures is of the large objects: how many there are, and a sum over all their bytes, which are
// read piece by piece (of a MiB): what is larger than a value may be is compared, too.
const pictures = `
WITH o AS MATERIALIZED (SELECT oid, lo_lseek64(lo_open(oid, 262144), 0, 2) AS size FROM pg_largeobject_metadata)
SELECT (SELECT count(*) FROM o)::text, coalesce(sum(('x' || left(md5(convert_to(concat_ws(' ', oid, size, at, ''), 'UTF8') || lo_get(oid, at, 1048576)), 16))::bit(64)::bigint::numeric), 0)::text
FROM o, generate_series(0, size, 1048576) at`

// settings are those that a database and its owner give each session. Values may be secrets.
const settings = `
SELECT split_part(x, '=', 1) || CASE WHEN setrole = 0 THEN ' of the database' ELSE ' of its owner' END, md5(convert_to(x, 'UTF8'))
FROM pg_db_role_setting, unnest(setconfig) x, (SELECT oid FROM pg_database WHERE datname = current_database()) d
WHERE setdatabase IN (0, d.oid) AND (setrole = 0 AND setdatabase <> 0 OR setrole = (SELECT oid FROM pg_roles WHERE rolname::text = $1)) AND x NOT LIKE 'default_transaction_read_only=%' ORDER BY 1, 2`

// left is what a database has and no copy takes along, though a site of its own works without: what
// other roles than its owner may do there, beyond what everybody may by default; who follows its
// changes. A role that is named comes once, however much it may.
const left = `
WITH e AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
o(class, id, kind, owner, acl) AS (
SELECT 'pg_class'::regclass, oid, CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner, relacl FROM pg_class
UNION ALL SELECT 'pg_class'::regclass, attrelid, 'c', relowner, attacl FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
UNION ALL SELECT 'pg_proc'::regclass, oid, 'f', proowner, proacl FROM pg_proc
UNION ALL SELECT 'pg_namespace'::regclass, oid, 'n', nspowner, nspacl FROM pg_namespace
UNION ALL SELECT 'pg_type'::regclass, oid, 'T', typowner, typacl FROM pg_type
UNION ALL SELECT 'pg_largeobject'::regclass, oid, 'L', lomowner, lomacl FROM pg_largeobject_metadata),
g AS (SELECT o.class, o.id, o.owner, x.grantee FROM o, LATERAL (
 (SELECT grantee, privilege_type FROM aclexplode(acl) EXCEPT SELECT grantee, privilege_type FROM aclexplode(acldefault(kind, owner)))
 UNION ALL (SELECT grantee, privilege_type FROM aclexplode(acldefault(kind, owner)) EXCEPT SELECT grantee, privilege_type FROM aclexplode(acl))) x
 WHERE acl IS NOT NULL AND NOT EXISTS (SELECT FROM e WHERE e.classid = o.class AND e.objid = o.id))
SELECT DISTINCT what FROM (
SELECT CASE grantee WHEN 0 THEN 'what everybody may' ELSE 'what ' || pg_get_userbyid(grantee) || ' may' END FROM g
 WHERE grantee <> owner AND pg_get_userbyid(grantee) <> $1 AND (id >= 16384 OR id = (SELECT oid FROM pg_namespace WHERE nspname = 'public')) AND (grantee <> 0 OR class <> 'pg_namespace'::regclass)
UNION ALL SELECT 'default privileges' FROM pg_default_acl
UNION ALL SELECT 'publication ' || pubname FROM pg_publication
UNION ALL SELECT 'subscription ' || subname FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())) l(what) ORDER BY 1 LIMIT 100`
