-- Everything of a workspace, a JSON object a row, without what is sealed or hashed.

-- name: workspace
SELECT (SELECT jsonb_object_agg(key, value) FROM jsonb_each(to_jsonb(w)) WHERE key NOT LIKE '%%_sealed')::text AS row FROM workspaces w WHERE w.id = %(workspace_id)s::bigint;

-- name: members
SELECT (jsonb_build_object('email', u.email, 'name', u.name, 'role', m.role, 'joined_at', m.created_at))::text AS row
FROM memberships m JOIN users u ON u.id = m.user_id WHERE m.workspace_id = %(workspace_id)s::bigint ORDER BY u.id;

-- name: domains
SELECT to_jsonb(d)::text AS row FROM domains d WHERE d.workspace_id = %(workspace_id)s::bigint ORDER BY d.id;

-- name: senders
SELECT (SELECT jsonb_object_agg(key, value) FROM jsonb_each(to_jsonb(s)) WHERE key NOT LIKE '%%_sealed')::text AS row FROM senders s WHERE s.workspace_id = %(workspace_id)s::bigint ORDER BY s.id;

-- name: lists
SELECT to_jsonb(l)::text AS row FROM lists l WHERE l.workspace_id = %(workspace_id)s::bigint ORDER BY l.id;

-- name: leads
SELECT (to_jsonb(l) - 'arriving' || jsonb_build_object('list_ids', (SELECT coalesce(jsonb_agg(ll.list_id ORDER BY ll.list_id), '[]') FROM list_leads ll WHERE ll.lead_id = l.id)))::text AS row
FROM leads l WHERE l.workspace_id = %(workspace_id)s::bigint ORDER BY l.id;

-- name: suppressions
SELECT to_jsonb(s)::text AS row FROM suppressions s WHERE s.workspace_id = %(workspace_id)s::bigint ORDER BY s.id;

-- name: campaigns
SELECT (to_jsonb(c) || jsonb_build_object(
           'steps', (SELECT coalesce(jsonb_agg(to_jsonb(st) - 'campaign_id' ORDER BY st.position), '[]') FROM steps st WHERE st.campaign_id = c.id),
           'list_ids', (SELECT coalesce(jsonb_agg(cl.list_id ORDER BY cl.list_id), '[]') FROM campaign_lists cl WHERE cl.campaign_id = c.id),
           'sender_ids', (SELECT coalesce(jsonb_agg(cs.sender_id ORDER BY cs.sender_id), '[]') FROM campaign_senders cs WHERE cs.campaign_id = c.id)))::text AS row
FROM campaigns c WHERE c.workspace_id = %(workspace_id)s::bigint ORDER BY c.id;

-- name: campaign_leads
SELECT to_jsonb(cl)::text AS row FROM campaigns c JOIN campaign_leads cl ON cl.campaign_id = c.id
WHERE c.workspace_id = %(workspace_id)s::bigint ORDER BY cl.campaign_id, cl.lead_id;

-- name: deliveries
SELECT (to_jsonb(d) - 'token' - 'worker_id')::text AS row FROM campaigns c JOIN deliveries d ON d.campaign_id = c.id
WHERE c.workspace_id = %(workspace_id)s::bigint ORDER BY d.id;

-- name: conversations
SELECT (to_jsonb(t) || jsonb_build_object(
           'notes', (SELECT coalesce(jsonb_agg(to_jsonb(n) - 'thread_id' - 'workspace_id' ORDER BY n.id), '[]') FROM notes n WHERE n.thread_id = t.id),
           'answers', (SELECT coalesce(jsonb_agg(to_jsonb(a) - 'thread_id' - 'workspace_id' ORDER BY a.id), '[]') FROM answers a WHERE a.thread_id = t.id)))::text AS row
FROM threads t WHERE t.workspace_id = %(workspace_id)s::bigint ORDER BY t.id;

-- name: messages
SELECT (to_jsonb(m) - 'digest' - 'search')::text AS row FROM inbox_messages m
WHERE m.workspace_id = %(workspace_id)s::bigint AND m.state <> 'ignored' ORDER BY m.id;

-- name: events
SELECT (to_jsonb(e) - 'xact')::text AS row FROM events e WHERE e.workspace_id = %(workspace_id)s::bigint ORDER BY e.id;
