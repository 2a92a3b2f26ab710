-- append: one message of a conversation
INSERT INTO messages (run_no, seq, role, wire, template, attempt, created_at)
VALUES ((SELECT no FROM runs WHERE id = :run_id), :seq, :role, :wire, :template, :attempt, :created_at);

-- wire: what is sent back to the model, in order
SELECT wire, template FROM messages WHERE run_no = (SELECT no FROM runs WHERE id = :run_id) AND seq > :after AND seq <= :upto ORDER BY seq;

-- wire_without_summaries: the same where a summary stands before them: those that were made later stand for the same or for less
SELECT wire, template FROM messages WHERE run_no = (SELECT no FROM runs WHERE id = :run_id) AND seq > :after AND seq <= :upto AND template != 'summary'
ORDER BY seq;

-- head: the last message of the head: the first of a user (not in words of ours, which come later), or where nobody is one, the system messages that come first
SELECT coalesce(
  (SELECT seq FROM messages WHERE run_no = runs.no AND role = 'user' AND template = '' ORDER BY seq LIMIT 1),
  (SELECT seq - 1 FROM messages WHERE run_no = runs.no AND role != 'system' ORDER BY seq LIMIT 1),
  0) AS head
FROM runs WHERE id = :run_id;

-- replies: the newest replies of a model, from a message on, the newest first
SELECT seq FROM messages WHERE run_no = (SELECT no FROM runs WHERE id = :run_id) AND role = 'assistant' AND seq >= :first
ORDER BY seq DESC LIMIT :most;

-- of_run: the whole conversation
SELECT * FROM messages WHERE run_no = (SELECT no FROM runs WHERE id = :run_id) ORDER BY seq;

-- one: one message
SELECT wire FROM messages WHERE run_no = (SELECT no FROM runs WHERE id = :run_id) AND seq = :seq;

-- template_of: whose words a message is
SELECT template FROM messages WHERE run_no = (SELECT no FROM runs WHERE id = :run_id) AND seq = :seq;
