-- A step's subjects against each other. Opens are human ones alone (`deliveries.opened_at`).

-- name: figures
-- By step and subject: accepted mails since the step has these subjects, and how many of them were opened by a person and answered.
SELECT st.position AS step, st.version, n.index, st.subjects[n.index + 1] AS subject, st.winner, st.winner_at, c.promote_winner,
       count(d.id) AS sent, count(d.opened_at) AS opened, count(d.replied_at) AS replied
FROM campaigns c
JOIN steps st ON st.campaign_id = c.id
CROSS JOIN LATERAL generate_series(0, cardinality(st.subjects) - 1) AS n (index)
LEFT JOIN deliveries d ON d.campaign_id = c.id AND d.step = st.position AND d.subject_index = n.index AND d.state = 'sent' AND d.rendered_at >= st.subjects_at
WHERE c.workspace_id = %(workspace_id)s::bigint AND c.id = %(campaign_id)s::bigint
GROUP BY st.position, st.version, n.index, st.subjects, st.winner, st.winner_at, c.promote_winner
ORDER BY st.position, n.index;

-- name: undecided
-- Running campaigns that are to go on with their best subjects, and have a step that has not found it.
SELECT c.id, c.workspace_id FROM campaigns c
WHERE c.status = 'running' AND c.promote_winner IS NOT NULL
  AND EXISTS (SELECT FROM steps st WHERE st.campaign_id = c.id AND st.winner IS NULL AND cardinality(st.subjects) > 1)
ORDER BY c.id;

-- name: promote
-- Unless the step was changed meanwhile.
UPDATE steps SET winner = %(winner)s::smallint, winner_at = now()
WHERE campaign_id = %(campaign_id)s::bigint AND position = %(step)s::smallint AND version = %(version)s::bigint AND winner IS NULL;
