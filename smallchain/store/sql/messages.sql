-- append: one message of a conversation
INSERT INTO messages (run_id, seq, role, wire, template, attempt, created_at)
VALUES (:run_id, :seq, :role, :wire, :template, :attempt, :created_at);

-- wire: what is sent back to the model, in order
SELECT wire FROM messages WHERE run_id = :run_id AND seq <= :upto ORDER BY seq;

-- of_run: the whole conversation
SELECT * FROM messages WHERE run_id = :run_id ORDER BY seq;

-- template_of: whose words a message is
SELECT template FROM messages WHERE run_id = :run_id AND seq = :seq;
