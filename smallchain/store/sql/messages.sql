-- append: one message of a conversation
INSERT INTO messages (run_no, seq, role, wire, template, attempt, created_at)
VALUES ((SELECT no FROM runs WHERE id = :run_id), :seq, :role, :wire, :template, :attempt, :created_at);

-- wire: what is sent back to the model, in order
SELECT wire FROM messages WHERE run_no = (SELECT no FROM runs WHERE id = :run_id) AND seq > :after AND seq <= :upto ORDER BY seq;

-- of_run: the whole conversation
SELECT * FROM messages WHERE run_no = (SELECT no FROM runs WHERE id = :run_id) ORDER BY seq;

-- one: one message
SELECT wire FROM messages WHERE run_no = (SELECT no FROM runs WHERE id = :run_id) AND seq = :seq;

-- template_of: whose words a message is
SELECT template FROM messages WHERE run_no = (SELECT no FROM runs WHERE id = :run_id) AND seq = :seq;
